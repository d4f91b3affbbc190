"""One VTK window, kept open without a screen: opening one costs 20 times as much as drawing in it.

The window draws through EGL or OSMesa where there is no display (VTK chooses), in software if need be. An
OpenGL context belongs to one process: a process that forks after drawing gets windows of its own
(:func:`window` sees to that), and worker processes that are spawned are safest.
"""

from __future__ import annotations

import os
import threading
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from cadcoder.errors import MissingDependency
from cadcoder.render.camera import View
from cadcoder.render.look import GENCAD_LOOK, Look
from cadcoder.render.mesh import Drawable
from cadcoder.render.opengl import choose_window

Image = npt.NDArray[np.uint8]
Depth = npt.NDArray[np.float32]

#: Appended to the faces' fragment shader: the sRGB curve (IEC 61966-2-1).
_ENCODE = """//VTK::Light::Impl
  vec3 linearLight = clamp(fragOutput0.rgb, 0.0, 1.0);
  fragOutput0.rgb = mix(12.92 * linearLight, 1.055 * pow(linearLight, vec3(1.0 / 2.4)) - 0.055,
                        step(0.0031308, linearLight));
"""
#: Appended likewise: the normal in the camera's axes as a colour.
_NORMALS = """//VTK::Light::Impl
  fragOutput0.rgb = normalVCVSOutput * 0.5 + 0.5;
"""

_windows: dict[tuple[int, int, int, int], Renderer] = {}
_lock = threading.RLock()


def window(size: tuple[int, int], antialias: int = 0) -> Renderer:
    """Return this process's window of a size, opened at the first call.

    Args:
        size: (width, height) in pixels.
        antialias: samples a pixel.
    """
    key = (os.getpid(), *size, antialias if antialias > 1 else 0)
    with _lock:
        found = _windows.get(key)
        if found is None:
            found = _windows[key] = Renderer(size, antialias)
        return found


class Renderer:
    """A window of fixed size that draws one part at a time; calls from several threads wait for each other.

    Raises:
        MissingDependency: if VTK can open no window on this machine.
    """

    def __init__(self, size: tuple[int, int] = (448, 448), antialias: int = 0) -> None:
        """Open the window: ``size`` is (width, height) in pixels, ``antialias`` the samples a pixel."""
        choose_window()
        try:
            import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  (registers the OpenGL classes)
            from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
            from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkRenderWindow
        except ImportError as e:
            raise MissingDependency(f"drawing needs the package vtk, which cannot be loaded ({e})") from e
        self.size = size
        self._lock = _lock
        self._look: Look | None = None
        self._counting = np.arange(3 * 1024, dtype=np.int32)
        self._pixels = vtkUnsignedCharArray()
        self._window = vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(antialias if antialias > 1 else 0)
        self._window.SetSize(*size)
        self._scene = vtkRenderer()
        self._scene.AutomaticLightCreationOff()
        self._window.AddRenderer(self._scene)
        self._faces, self._face_mapper = vtkActor(), vtkPolyDataMapper()
        self._edges, self._edge_mapper = vtkActor(), vtkPolyDataMapper()
        for actor, mapper in ((self._faces, self._face_mapper), (self._edges, self._edge_mapper)):
            mapper.ScalarVisibilityOff()
            actor.SetMapper(mapper)
            self._scene.AddActor(actor)
        # Faces are pushed back a little, so that the edges on them are seen and those behind are not.
        self._face_mapper.SetResolveCoincidentTopologyToPolygonOffset()
        self._face_mapper.SetRelativeCoincidentTopologyPolygonOffsetParameters(1.0, 1.0)
        self._edges.GetProperty().LightingOff()

    def draw(self, part: Drawable, view: View, look: Look = GENCAD_LOOK) -> Image:
        """Draw a part.

        Args:
            part: what to draw, from :func:`cadcoder.render.mesh.drawable`.
            view: a fitted camera, of this window's size.
            look: colours, light, edges.

        Returns:
            (height, width, 3) uint8, red, green, blue; row 0 on top.
        """
        with self._lock:
            self._render(part, view, look)
            image = self._read()
            self._window.ReleaseCurrent()  # so that the next thread can have the context
        return image

    def draw_deep(self, part: Drawable, view: View, look: Look = GENCAD_LOOK) -> tuple[Image, Depth]:
        """Draw a part, and tell how far away what is seen is.

        Args:
            part: what to draw.
            view: a fitted camera, of this window's size; the window must not be antialiased.
            look: colours, light, edges.

        Returns:
            The picture (height, width, 3) uint8, and the distance from the eye along the axis of view, (height,
            width) float32, infinite where there is nothing. Row 0 on top.
        """
        from vtkmodules.vtkCommonCore import vtkFloatArray

        width, height = self.size
        held = vtkFloatArray()
        with self._lock:
            self._render(part, view, look)
            image = self._read()
            self._window.GetZbufferData(0, 0, width - 1, height - 1, held)
            self._window.ReleaseCurrent()
        z = np.frombuffer(cast(Any, held), dtype=np.float32).reshape(height, width)[::-1]
        near, far = view.near, view.far
        if view.field_of_view is None:
            deep = z * np.float32(far - near) + np.float32(near)
        else:  # far away the buffer is so coarse that single precision would add to it
            deep = (near * far / (far - z.astype(np.float64) * (far - near))).astype(np.float32)
        deep[z >= 1.0] = np.inf
        return image, deep

    def _read(self) -> Image:
        width, height = self.size
        self._window.GetPixelData(0, 0, width - 1, height - 1, 0, self._pixels, 0)
        image: Image = np.frombuffer(cast(Any, self._pixels), dtype=np.uint8).reshape(height, width, 3)[::-1].copy()
        return image

    def _render(self, part: Drawable, view: View, look: Look) -> None:
        self._dress(look)
        self._aim(view)
        if len(self._counting) < len(part.corners):
            self._counting = np.arange(2 * len(part.corners), dtype=np.int32)
        self._face_mapper.SetInputData(_triangles(part, self._counting))
        self._edge_mapper.SetInputData(_lines(part))
        self._window.Render()

    def _aim(self, view: View) -> None:
        camera: Any = self._scene.GetActiveCamera()
        camera.SetFocalPoint(*view.target)
        camera.SetPosition(*(view.target + view.distance * view.back))
        camera.SetViewUp(*view.up)
        if view.field_of_view is None:
            camera.ParallelProjectionOn()
            camera.SetParallelScale(view.unit * view.size[1] / 2)
        else:
            camera.ParallelProjectionOff()
            camera.SetViewAngle(view.field_of_view)
        camera.SetClippingRange(view.near, view.far)

    def _dress(self, look: Look) -> None:
        if look == self._look:
            return
        from vtkmodules.vtkRenderingCore import vtkLight

        self._look = look
        scene: Any = self._scene
        # A gradient's first colour is at the bottom.
        scene.SetBackground(*(look.horizon or look.background))
        scene.SetBackground2(*look.background)
        scene.SetGradientBackground(look.horizon is not None)
        scene.RemoveAllLights()
        for one in look.lights:
            light = vtkLight()
            light.SetLightTypeToCameraLight()
            light.SetPosition(*one.direction)
            light.SetFocalPoint(0.0, 0.0, 0.0)
            light.SetColor(*one.colour)
            light.SetIntensity(one.strength)
            scene.AddLight(light)
        face = self._faces.GetProperty()
        # Invisible faces are drawn in the background's colour: they must still hide what is behind them.
        face.SetColor(*(look.face or look.background))
        face.SetLighting(look.face is not None)
        face.SetAmbient(look.ambient)
        if look.ambient_colour is not None:
            face.SetAmbientColor(*look.ambient_colour)
        face.SetDiffuse(look.diffuse)
        face.SetSpecular(look.specular)
        face.SetSpecularPower(look.shininess)
        shader = self._faces.GetShaderProperty()
        shader.ClearAllFragmentShaderReplacements()
        if look.normals or look.linear_light:
            code = _NORMALS if look.normals else _ENCODE
            shader.AddFragmentShaderReplacement("//VTK::Light::Impl", True, code, False)
        edge = self._edges.GetProperty()
        self._edges.SetVisibility(look.edge is not None)
        if look.edge is not None:
            edge.SetColor(*look.edge)
            edge.SetLineWidth(look.edge_width)


def _triangles(part: Drawable, counting: npt.NDArray[np.int32]) -> Any:
    data = _points(part.corners)
    normals = _floats(part.normals)
    normals.SetName("Normals")
    data.GetPointData().SetNormals(normals)
    data.SetPolys(_cells(counting[: len(part.corners)], 3))
    return data


def _lines(part: Drawable) -> Any:
    data = _points(part.points)
    data.SetLines(_cells(part.edges.ravel(), 2))
    return data


def _points(points: npt.NDArray[np.float32]) -> Any:
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkPolyData

    held = vtkPoints()
    held.SetData(_floats(points))
    data = vtkPolyData()
    data.SetPoints(held)
    return data


def _floats(values: npt.NDArray[np.float32]) -> Any:
    from vtkmodules.util.numpy_support import numpy_to_vtk as borrow
    from vtkmodules.util.vtkConstants import VTK_FLOAT

    # Naming the type spares a search through numpy's types, which takes longer than the rest. VTK only borrows
    # the memory, so that the array must outlive the drawing.
    return borrow(values, array_type=VTK_FLOAT)  # type: ignore[no-untyped-call]


def _cells(ids: npt.NDArray[np.int32], corners: int) -> Any:
    from vtkmodules.util.numpy_support import numpy_to_vtk as borrow
    from vtkmodules.util.vtkConstants import VTK_INT
    from vtkmodules.vtkCommonDataModel import vtkCellArray

    cells = vtkCellArray()
    cells.SetData(corners, borrow(ids, array_type=VTK_INT))  # type: ignore[no-untyped-call]
    return cells
