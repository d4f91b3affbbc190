"""Drawings for conversations and reports, made in one thread: a VTK window belongs to the thread that opened it."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from cadcoder.errors import CadCoderError

if TYPE_CHECKING:
    from PIL import Image

    from cadcoder.sandbox import Executor, Outcome


class Studio:
    """Draws parts as the GenCAD renders are drawn; safe to use from several threads. Also the :class:`Means`."""

    def __init__(self, executor: Executor) -> None:
        """Take the executor; no window is opened before the first drawing."""
        self._executor = executor
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cadcoder-draw")
        self._examples: dict[str, bytes] = {}

    def run(self, code: str) -> Outcome:
        """Run a script in the executor."""
        return self._executor.run(code, exports=())

    def draw(self, outcome: Outcome) -> bytes:
        """Return a PNG, 448 x 448, of what a script made.

        Raises:
            CadCoderError: if nothing can be drawn.
        """
        assert outcome.vertices is not None and outcome.faces is not None
        return self.png(outcome.vertices, outcome.faces)

    def png(self, vertices: Any, faces: Any, side: int = 448) -> bytes:
        """Return a PNG of a mesh in the look of the GenCAD renders."""
        return self._thread.submit(_png, vertices, faces, side).result()

    def examples(self, picture: Image.Image, count: int) -> list[tuple[bytes, str]]:
        """Return the bank's parts that look most like a picture, the most alike last: drawings and scripts."""
        from cadcoder.geometry.build import build
        from cadcoder.program import parse
        from eval.baselines import nearest

        found: list[tuple[bytes, str]] = []
        for code in nearest(picture, 3 * count):
            if len(found) == count:
                break
            try:
                if code not in self._examples:
                    solid = build(parse(code))
                    self._examples[code] = self.png(solid.vertices, solid.faces)
                found.append((self._examples[code], code))
            except CadCoderError:
                continue
        return found[::-1]

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True)


def _png(vertices: Any, faces: Any, side: int) -> bytes:
    from PIL import Image

    from cadcoder.geometry.solid import Solid
    from cadcoder.render.gencad import render_gencad

    drawn = Image.fromarray(render_gencad(Solid(np.asarray(vertices), np.asarray(faces))))
    if side != drawn.width:
        drawn = drawn.resize((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    if side < 448:
        drawn.convert("L").quantize(16).save(out, "PNG", optimize=True)
    else:
        drawn.save(out, "PNG")
    return out.getvalue()
