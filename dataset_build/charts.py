"""Small pictures for documents: histograms and contact sheets, drawn by Pillow alone."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dataset_build.shards import write_whole

INK, GRID, BAR = (40, 40, 45), (222, 222, 226), (62, 110, 165)


def histogram(values: NDArray[np.int64], path: Path, title: str, axis: str, bins: int = 60) -> None:
    """Draw how often values occur, with their median and the 95th percentile; the last bar holds all beyond.

    Args:
        values: (N,) not negative.
        path: of the PNG, written by rename.
        title: above it.
        axis: below it.
        bins: number of bars.
    """
    width, height, left, top, right, bottom = 760, 380, 70, 44, 20, 52
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    font, small = ImageFont.load_default(15), ImageFont.load_default(12)
    pen.text((left, 12), title, fill=INK, font=font)
    pen.text(((left + width - right) / 2, height - 22), axis, fill=INK, font=small, anchor="ma")
    # Bars of a whole number of values each.
    high = float(bins * max(1, np.ceil(np.quantile(values, 0.995) / bins)) if len(values) else bins)
    counts, _ = np.histogram(np.clip(values, 0, high), bins=bins, range=(0, high))
    tallest = max(int(counts.max()), 1)
    across, down = (width - left - right) / bins, height - top - bottom
    for k in range(5):
        y = top + down * k / 4
        pen.line((left, y, width - right, y), fill=GRID)
        pen.text((left - 6, y), f"{tallest * (4 - k) / 4:.0f}", fill=INK, font=small, anchor="rm")
        x = left + (width - left - right) * k / 4
        pen.text((x, height - bottom + 6), f"{high * k / 4:.0f}", fill=INK, font=small, anchor="ma")
    for k, n in enumerate(counts.tolist()):
        x = left + k * across
        pen.rectangle((x + 1, top + down * (1 - n / tallest), x + across - 1, top + down), fill=BAR)
    if len(values):
        for name, value in (("median", np.median(values)), ("95 %", np.quantile(values, 0.95))):
            x = left + min(float(value) / high, 1) * (width - left - right)
            pen.line((x, top, x, top + down), fill=(190, 60, 50))
            pen.text((x + 4, top + 2), f"{name} {value:.0f}", fill=(190, 60, 50), font=small)
    pen.line((left, top + down, width - right, top + down), fill=INK)
    save(picture, path)


def contact_sheet(pictures: Sequence[Image.Image], path: Path, across: int = 4, side: int = 180) -> None:
    """Lay pictures out in rows.

    Args:
        pictures: of any size.
        path: of the PNG, written by rename.
        across: pictures a row.
        side: of a square for each, in pixels.
    """
    down = -(-len(pictures) // across)
    sheet = Image.new("RGB", (across * (side + 4) + 4, down * (side + 4) + 4), (150, 150, 154))
    for k, picture in enumerate(pictures):
        small = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
        sheet.paste(small, (4 + k % across * (side + 4), 4 + k // across * (side + 4)))
    # A palette makes photographs a third as large; nobody measures colours on a contact sheet.
    save(sheet.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE), path)


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG by rename."""
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    write_whole(path, data.getvalue())
