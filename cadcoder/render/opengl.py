"""Find an OpenGL that draws without a screen, before VTK looks for it: where there is none, VTK kills the process."""

from __future__ import annotations

import ctypes
import os
import sys

from cadcoder.errors import MissingDependency

_EGL_PLATFORM_DEVICE = 0x313F
_OSMESA = ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")


def choose_window() -> None:
    """Tell VTK which kind of window to open (``VTK_DEFAULT_OPENGL_WINDOW``), unless the user has told it.

    On Linux that is EGL, else OSMesa, else a window of the X server in ``DISPLAY``. Elsewhere VTK knows.

    Raises:
        MissingDependency: if none of them is there.
    """
    # llvmpipe's own threads cost more than they bring in pictures this small.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    if not sys.platform.startswith("linux") or os.environ.get("VTK_DEFAULT_OPENGL_WINDOW"):
        return
    if _has_egl():
        os.environ["VTK_DEFAULT_OPENGL_WINDOW"] = "vtkEGLRenderWindow"
    elif any(_load(name) for name in _OSMESA):
        os.environ["VTK_DEFAULT_OPENGL_WINDOW"] = "vtkOSOpenGLRenderWindow"
    elif not _has_display():
        raise MissingDependency(
            "drawing needs OpenGL, and none works here; install Mesa's EGL (Debian, Ubuntu: apt install libegl1)"
        )


def _load(name: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


def _has_egl() -> bool:
    """Whether EGL has a device, or a default display, that can be initialised (EGL_EXT_platform_device)."""
    egl = _load("libEGL.so.1") or _load("libEGL.so")
    if egl is None:
        return False
    try:
        egl.eglGetProcAddress.restype = ctypes.c_void_p
        egl.eglGetProcAddress.argtypes = [ctypes.c_char_p]
        egl.eglGetDisplay.restype = ctypes.c_void_p
        egl.eglGetDisplay.argtypes = [ctypes.c_void_p]
        egl.eglInitialize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        query = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
        platform = egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
    except AttributeError:
        return False
    displays = []
    if query and platform:
        devices = (ctypes.c_void_p * 16)()
        count = ctypes.c_int(0)
        ask = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(query)
        if ask(16, ctypes.cast(devices, ctypes.c_void_p), ctypes.cast(ctypes.byref(count), ctypes.c_void_p)):
            get = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)(platform)
            displays += [get(_EGL_PLATFORM_DEVICE, devices[i], None) for i in range(count.value)]
    displays.append(egl.eglGetDisplay(None))
    return any(display and egl.eglInitialize(display, None, None) for display in displays)


def _has_display() -> bool:
    """Whether an X server answers at ``DISPLAY``."""
    x11 = _load("libX11.so.6") if os.environ.get("DISPLAY") else None
    if x11 is None:
        return False
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    opened = x11.XOpenDisplay(None)
    if opened:
        x11.XCloseDisplay(opened)
    return bool(opened)
