"""Every kind of picture a person may hand over, and every kind of file that is none."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cadcoder import pictures
from cadcoder.errors import CadCoderError, InputError, MissingDependency


def _sample() -> Image.Image:
    """Return 64 x 48, red, with the upper left quarter blue."""
    image = Image.new("RGB", (64, 48), (250, 10, 10))
    image.paste((10, 10, 250), (0, 0, 32, 24))
    return image


def _bytes(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _is_sample(image: Image.Image) -> bool:
    a = np.asarray(image).astype(int)
    b = np.asarray(_sample()).astype(int)
    return a.shape == b.shape and float(np.abs(a - b).mean()) < 12


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_formats(kind: str, tmp_path: Path) -> None:
    data = _bytes(_sample(), kind)
    path = tmp_path / "picture.bin"
    path.write_bytes(data)
    for source in (data, path, str(path)):
        image = pictures.load(source)
        assert image.mode == "RGB"
        assert _is_sample(image)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        isatty = staticmethod(lambda: False)
        buffer = io.BytesIO(_bytes(_sample(), "PNG"))

    monkeypatch.setattr(sys, "stdin", Stdin())
    assert _is_sample(pictures.load("-"))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame(kind: str) -> None:
    other = Image.new("RGB", (64, 48), (0, 255, 0))
    assert _is_sample(pictures.load(_bytes(_sample(), kind, save_all=True, append_images=[other, other])))


@pytest.mark.parametrize(("orientation", "turn"), [(3, 180), (6, 90), (8, 270)])
def test_exif_orientation(orientation: int, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = _sample().rotate(turn, expand=True)  # as the camera held it
    for kind in ("JPEG", "PNG", "WEBP"):
        assert _is_sample(pictures.load(_bytes(stored, kind, exif=exif.tobytes()))), kind


def test_alpha_lies_on_white() -> None:
    rgba = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    rgba.paste((0, 0, 255, 255), (8, 8, 24, 24))
    grey = Image.new("LA", (32, 32), (0, 0))
    palette = Image.new("P", (32, 32), 0)
    palette.putpalette([0, 0, 0, 0, 0, 255])
    palette.paste(1, (8, 8, 24, 24))
    sources = [_bytes(rgba, "PNG"), _bytes(rgba, "WEBP", lossless=True), _bytes(grey, "PNG"), rgba, np.asarray(rgba)]
    sources.append(_bytes(palette, "PNG", transparency=0))
    sources.append(_bytes(palette, "GIF", transparency=0))
    sources.append(_bytes(Image.new("L", (32, 32), 7), "PNG", transparency=7))
    for i, source in enumerate(sources):
        assert pictures.load(source).getpixel((1, 1)) == (255, 255, 255), i
    assert pictures.load(sources[0]).getpixel((16, 16)) == (0, 0, 255)
    half = Image.new("RGBA", (32, 32), (0, 0, 0, 128))
    assert pictures.load(_bytes(half, "PNG")).getpixel((3, 3)) == (127, 127, 127)


def test_deep_grey_cmyk_and_bits() -> None:
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    for source in (_bytes(Image.fromarray(ramp), "PNG"), _bytes(Image.fromarray(ramp), "TIFF"), ramp):
        out = np.asarray(pictures.load(source))
        assert out[0, 0, 0] == 0
        assert out[-1, -1, 0] == 255
        assert abs(int(out[24, 0, 0]) - 128) <= 2
    assert pictures.load(_bytes(Image.fromarray(np.full((20, 20), 0.5, np.float32)), "TIFF")).getpixel((0, 0))[0] == 128
    assert _is_sample(pictures.load(_bytes(_sample().convert("CMYK"), "JPEG")))
    assert pictures.load(_bytes(Image.new("1", (20, 20), 1), "PNG")).getpixel((0, 0)) == (255, 255, 255)
    assert pictures.load(np.ones((20, 20), bool)).getpixel((0, 0)) == (255, 255, 255)
    assert pictures.load(np.full((20, 20, 1), 0.5)).getpixel((0, 0)) == (128, 128, 128)


def test_large_pictures_are_reduced() -> None:
    assert pictures.load(_bytes(Image.new("RGB", (5000, 2500)), "JPEG")).size == (1024, 512)
    assert pictures.load(Image.new("L", (5000, 2500))).size == (1024, 512)


def _png_header(width: int, height: int) -> bytes:
    def chunk(tag: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    good = {kind: _bytes(Image.fromarray(noise), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")}
    faulty = {
        "empty.png": (b"", "is empty"),
        "text.png": (b"import cadquery as cq\n" * 50, "it is a text file"),
        "umlaut.png": (("ä" * 700).encode(), "not a picture"),
        "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        "drawing.pdf": (b"%PDF-1.7 ...", "PDF"),
        "page.ps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n", "not a picture"),
        "noise.jpg": (bytes(range(256)) * 4, "not a picture"),
        "bomb.png": (_png_header(30_000, 30_000), "million"),
        "large.png": (_png_header(12_000, 12_000), "million"),
        "zero.png": (_png_header(0, 0), ""),
        "small.png": (_png_header(3, 3), "3 x 3"),
        "magic.png": (b"\x89PNG\r\n\x1a\n", ""),
        **{f"cut.{kind.lower()}": (data[: len(data) // 2], "") for kind, data in good.items()},
        **{f"head.{kind.lower()}": (data[:30], "") for kind, data in good.items()},
    }
    for name, (data, expected) in faulty.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(InputError) as caught:
            pictures.load(path)
        text = str(caught.value)
        assert name in text
        assert expected in text
        assert "\n" not in text
        assert caught.value.exit_code == 2


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    for source, expected in ((tmp_path / "none.png", "no such file"), (tmp_path, "is a folder"), ("a\0b", "cannot")):
        with pytest.raises(InputError, match=expected):
            pictures.load(source)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((20, 20, 2), np.uint8),
        np.zeros((5,), np.uint8),
        np.full((20, 20), 3.0),
        np.full((20, 20), np.nan),
        np.zeros((20, 20), np.complex64),
        np.zeros((20, 20), np.int64),
        np.zeros((2, 20, 3), np.uint8),
    ],
    ids=lambda a: f"{a.shape}-{a.dtype}",
)
def test_arrays_that_are_no_pictures(array: np.ndarray) -> None:
    with pytest.raises(InputError):
        pictures.load(array)


def test_other_things_are_refused() -> None:
    with pytest.raises(InputError, match="not int"):
        pictures.load(3)  # type: ignore[arg-type]


def test_heic() -> None:
    """With the photos extra the photograph is read; without it the message names the extra."""
    try:
        import pillow_heif
    except ImportError:
        with pytest.raises(MissingDependency, match=r"cadcoder\[photos\]"):
            pictures.load(b"\0\0\0\x18ftypheic" + bytes(40))
        return
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    assert _is_sample(pictures.load(_bytes(_sample(), "HEIF", quality=95)))
    assert _is_sample(pictures.load(_bytes(_sample().rotate(90, expand=True), "HEIF", quality=95, exif=exif.tobytes())))
    with pytest.raises(CadCoderError):
        pictures.load(_bytes(_sample(), "HEIF")[:200])


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pictures"):
        pictures.list_folder(tmp_path)
    for name in ("b.PNG", "a.jpg", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [p.name for p in pictures.list_folder(tmp_path)] == ["a.jpg", "b.PNG"]
