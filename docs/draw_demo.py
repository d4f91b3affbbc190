"""Draw docs/images/demo.png: a picture, the script that cadcoder writes for it, and what the script builds.

    python docs/draw_demo.py [PICTURE] [OUTPUT]

The script is written anew by the default model, so the picture shows what the command really prints.
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

import cadcoder
from cadcoder.part import Part
from cadcoder.render.camera import Camera
from cadcoder.render.gencad import render_view
from cadcoder.render.look import Look

ROOT = Path(__file__).resolve().parents[1]
SIDE, GAP, TITLE, FONT, LINE = 448, 24, 36, 14, 19
INK, PALE = (40, 44, 52), (120, 126, 138)


def draw(picture: Path, part: Part) -> Image.Image:
    """Return input, script and result side by side."""
    code_font = ImageFont.truetype(font_manager.findfont("DejaVu Sans Mono"), FONT)
    title_font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), FONT + 1)
    lines = part.code.rstrip().splitlines()
    width = max(SIDE, round(max(code_font.getlength(line) for line in lines)) + 2 * GAP)
    height = TITLE + max(SIDE, LINE * len(lines) + 2 * GAP)
    sheet = Image.new("RGB", (SIDE + width + SIDE, height), "white")
    pen = ImageDraw.Draw(sheet)

    middle = TITLE + (height - TITLE - SIDE) // 2
    sheet.paste(Image.open(picture).convert("RGB").resize((SIDE, SIDE)), (0, middle))
    pen.rectangle((SIDE, TITLE, SIDE + width, height), fill=(246, 247, 249))
    top = TITLE + (height - TITLE - LINE * len(lines)) // 2
    for i, line in enumerate(lines):
        ink = PALE if line.lstrip().startswith("#") else INK
        pen.text((SIDE + GAP, top + LINE * i), line, fill=ink, font=code_font)
    look = Look(face=(0.55, 0.68, 0.86), edge=(0.1, 0.15, 0.25), antialias=8)
    seen = render_view(part.solid, Camera(direction=(1.2, -1.0, 0.8), margin=0.12), look, SIDE)
    sheet.paste(Image.fromarray(seen), (SIDE + width, middle))

    titles = (picture.name, "cadcoder generate", "what the script builds, from another side")
    for x, title in zip((0, SIDE, SIDE + width), titles, strict=True):
        pen.text((x + GAP, 10), title, fill=INK, font=title_font)
    return sheet


def main(picture: str = "examples/plate_with_holes.png", output: str = "docs/images/demo.png") -> None:
    """Write the picture."""
    source, target = ROOT / picture, ROOT / output
    sheet = draw(source, cadcoder.generate(source))
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(128).save(target, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
