"""Pictures in: whatever a person hands over becomes one upright RGB image on white, or one clear line.

Sources are paths, ``-`` (standard input), bytes, Pillow images and NumPy arrays. Only formats on a short
list are opened: Pillow would otherwise hand PostScript to Ghostscript and ask every decoder it has.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from cadcoder.errors import InputError, MissingDependency

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

#: What :func:`load` takes.
Picture: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | np.ndarray[Any, Any]"

#: Pillow's names of the formats that are opened, where this Pillow knows them.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "HEIF")

#: File suffixes that count as pictures when a folder is given.
SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .webp .gif .bmp .tif .tiff .ppm .pgm .avif .heic .heif .hif".split(),
)

#: More pixels than this are refused before they are decoded: a small file can claim any size.
MAX_PIXELS = 100_000_000

#: Larger files are refused before they are read whole.
MAX_BYTES = 256 * 1024 * 1024

#: The longest side that is handed on; no step after this one looks at more.
MAX_SIDE = 1024

#: Fewer pixels on a side than this show no part.
MIN_SIDE = 16

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def load(source: Picture) -> Image.Image:
    """Return a picture as an RGB image, upright, transparency laid on white, at most 1024 pixels long.

    The EXIF orientation is applied; of several frames the first is taken; 16-bit and floating-point greys
    are brought to 8 bits.

    Args:
        source: a path, ``"-"`` for standard input, the bytes of a picture file, a Pillow image, or an array of
            shape (height, width) or (height, width, 1, 3 or 4): unsigned integers, booleans, or floats from 0 to 1.

    Raises:
        InputError: if it is missing, empty, cut off, too large, too small, or not a picture.
        MissingDependency: if it is a HEIC photograph and the ``photos`` extra is not installed.
    """
    from PIL import Image

    if isinstance(source, Image.Image):
        return _finish(source, "the picture")
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode(bytes(source), "the picture")
    if isinstance(source, str | os.PathLike):
        name = display_name(source)
        return _decode(_read(source, name), name)
    if hasattr(source, "__array_interface__"):
        return _finish(_from_array(source), "the picture")
    raise InputError(f"a picture must be a path, bytes, a Pillow image or an array, not {type(source).__name__}")


def display_name(source: str | os.PathLike[str]) -> str:
    """Return what a message calls a source: its path, or ``standard input`` for ``-``."""
    return "standard input" if source == "-" else os.fspath(source)


def list_folder(folder: Path) -> list[Path]:
    """Return the pictures that lie directly in a folder, in the order of their names.

    Raises:
        InputError: if there is none.
    """
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not found:
        raise InputError(f"{folder} holds no pictures (looked for {', '.join(sorted(SUFFIXES))})")
    return found


def _read(source: str | os.PathLike[str], name: str) -> bytes:
    try:
        if source == "-":
            if sys.stdin.isatty():
                raise InputError("standard input is a terminal; pipe a picture into it")
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(source, "rb") as file:
                data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a folder; give a picture") from None
    except PermissionError:
        raise InputError(f"{name}: no permission to read it") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise InputError(f"{name} cannot be read: {_one_line(error)}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{name} is larger than {MAX_BYTES // 2**20} MiB; give a smaller picture")
    return data


def _decode(data: bytes, name: str) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise InputError(f"{name} is empty (0 bytes)")
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        _register_heif(name)
    Image.init()
    formats = [f for f in FORMATS if f in Image.OPEN]
    try:
        with warnings.catch_warnings():
            # The size is checked below, and damaged metadata is nothing that a person can act on.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=formats)
    except Image.DecompressionBombError:
        raise InputError(f"{name} claims more than {MAX_PIXELS // 10**6} million pixels; scale it down") from None
    except UnidentifiedImageError:
        raise InputError(f"{name} is not a picture that can be read: {_guess(data)}") from None
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise InputError(f"{name} is damaged or cut off: {_one_line(error)}") from None
    return _finish(image, name)


def _register_heif(name: str) -> None:
    try:
        import pillow_heif
    except ImportError:
        raise MissingDependency(
            f"{name} is a HEIC photograph; to read it, install the photos extra: pip install 'cadcoder[photos]'"
        ) from None
    pillow_heif.register_heif_opener()


def _finish(image: Image.Image, name: str) -> Image.Image:
    """Check the size, decode, and bring to upright 8-bit RGB."""
    from PIL import Image, ImageOps

    width, height = image.size
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name} has {width} x {height} pixels, more than {MAX_PIXELS // 10**6} million; scale it down"
        )
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{name} has only {width} x {height} pixels; {MIN_SIDE} x {MIN_SIDE} is the least")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if getattr(image, "is_animated", False):
                image.seek(0)
            image.draft(None, (MAX_SIDE, MAX_SIDE))  # lets the JPEG decoder skip what is not needed
            image.load()
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise InputError(f"{name} is damaged or cut off: {_one_line(error)}") from None
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # unreadable EXIF data says nothing about the pixels: take them as they lie
        image = image.copy()
    image = _to_rgb(image)
    if max(image.size) > MAX_SIDE:
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    if min(image.size) < 1:
        raise InputError(f"{name} is too narrow: {width} x {height} pixels")
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        return _grey_to_8_bits(image).convert("RGB")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, over).convert("RGB")
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


def _grey_to_8_bits(image: Image.Image) -> Image.Image:
    """Return a 16-bit, 32-bit or floating-point grey image with 8 bits, its transparent value white."""
    import numpy as np
    from PIL import Image

    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    top = float(values.max(initial=0.0))
    if image.mode.startswith("I;16"):
        full = 65535.0
    elif image.mode == "F":
        full = 1.0 if top <= 1.0 else 255.0 if top <= 255.0 else top
    else:
        full = 255.0 if top <= 255.0 else 65535.0 if top <= 65535.0 else top
    grey = np.clip(values * (255.0 / full) + 0.5, 0, 255).astype(np.uint8)
    clear = image.info.get("transparency")
    if isinstance(clear, int | float):
        grey[values == clear] = 255
    return Image.fromarray(grey)


def _from_array(source: Any) -> Image.Image:
    import numpy as np
    from PIL import Image

    array = np.asarray(source)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise InputError(f"a picture's array must be (height, width[, 1, 3 or 4]), not of shape {array.shape}")
    if 0 in array.shape:
        raise InputError(f"the picture's array is empty: its shape is {array.shape}")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif array.dtype == np.uint16:
        array = (array // 257).astype(np.uint8)
    elif np.issubdtype(array.dtype, np.floating):
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise InputError("a picture's array of floats must lie between 0 and 1")
        array = (array * 255 + 0.5).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise InputError(f"a picture's array must hold uint8, uint16, bool or floats, not {array.dtype}")
    return Image.fromarray(np.ascontiguousarray(array))


def _guess(data: bytes) -> str:
    """Return what a file that is no picture seems to be."""
    head = data[:512]
    if head.startswith(b"%PDF"):
        return "it is a PDF; export the page as PNG first"
    try:
        head[: head.rfind(b" ") if len(data) > 512 and b" " in head else None].decode("utf-8")
    except UnicodeDecodeError:
        return "its format is not known, or the file is damaged"
    if b"\0" in head:
        return "its format is not known, or the file is damaged"
    return "it is an SVG; export it as PNG first" if b"<svg" in head.lower() else "it is a text file"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
