"""A bank of programs whose drawings are known: the nearest ones to a picture are starting points for the fit.

Mask2CAD (Kuo et al., ECCV 2020) retrieves a CAD model for what it sees and keeps its shape; here what is retrieved is
a program, and its numbers are fitted afterwards. The bank is made from synthetic programs (``dataset_build.bank``) and
lies beside a checkpoint as ``bank.npz``; a checkpoint without one does without.

A drawing is described by its silhouette and its edges, each on a grid over the square around the part, so that neither
line width nor shading matter; the descriptions are projected on their principal components and kept in 8 bits.

Format of ``bank.npz`` (NumPy zip): ``version`` (), ``mean`` (F,) float32, ``basis`` (F, K) float16, ``scale`` ()
float32, ``codes`` (N, K) int8 (description = mean + basis @ (scale * code)), ``texts`` uint8: the N scripts' UTF-8,
separated by zero bytes, in xz form. Optional, for pictures from elsewhere (:mod:`cadcoder.refine.viewbank`):
``view_rows`` (M,) int32 rows of ``texts``; ``view_mean``, ``view_basis``, ``view_scale`` likewise; ``view_codes`` (M,
V, K) int8 of the drawings from the V cameras of :data:`cadcoder.refine.poses.GRID`.
"""

from __future__ import annotations

import functools
import lzma
import os
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cadcoder.errors import InputError
from cadcoder.refine.viewbank import ViewBank

if TYPE_CHECKING:
    from cadcoder.render.camera import Camera
    from cadcoder.render.compare import Drawn
    from cadcoder.render.mesh import Drawable
    from cadcoder.render.observe import Observation

Floats = npt.NDArray[np.float32]

VERSION = 1
#: Cells along a side of the grid, and how far edges are spread (standard deviation in cells).
CELLS, SPREAD = 32, 0.6
#: Nearest programs that are drawn and compared.
DRAWN = 60


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """Programs and the descriptions of their drawings, as the module says."""

    mean: Floats
    basis: Floats
    scale: float
    codes: npt.NDArray[np.int8]
    texts: list[str]
    views: ViewBank | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def distance(self, description: Floats) -> float:
        """Return the squared distance of the nearest drawing to a description (F,), in units of the codes."""
        at = (description - self.mean) @ self.basis / self.scale
        return float(self._distances(description).min(initial=np.inf) + at @ at)

    def _distances(self, description: Floats) -> Floats:
        """Return the squared distances (N,) to a description, less what is the same for all."""
        at = (description - self.mean) @ self.basis / self.scale
        # |a - b|^2 without |a|^2: one product of matrices in place of an (N, K) difference.
        codes = self.codes.astype(np.float32)
        return np.asarray((codes**2).sum(1) - 2 * (codes @ at))

    def nearest(self, description: Floats, count: int = DRAWN) -> list[str]:
        """Return the scripts whose drawings are nearest to a description (F,), the nearest first."""
        far = self._distances(description)
        count = min(count, len(far))
        chosen = np.argpartition(far, count - 1)[:count] if count else np.empty(0, np.intp)
        return [self.texts[i] for i in chosen[np.lexsort((chosen, far[chosen]))]]

    def save(self, path: Path) -> None:
        """Write ``bank.npz``, whole or not at all."""
        packed = np.frombuffer(lzma.compress("\0".join(self.texts).encode(), preset=9), np.uint8)
        partial = path.with_name(path.name + ".partial.npz")
        np.savez(
            partial,
            version=VERSION,
            mean=self.mean,
            basis=self.basis.astype(np.float16),
            scale=np.float32(self.scale),
            codes=self.codes,
            texts=packed,
            **(self.views.arrays() if self.views else {}),
        )
        os.replace(partial, path)


def principal(descriptions: Floats, components: int = 32) -> tuple[Floats, Floats]:
    """Return the mean (F,) of descriptions (N, F) and their first principal components (F, K), as they will be read."""
    mean = descriptions.mean(0)
    _, _, directions = np.linalg.svd(descriptions - mean, full_matrices=False)
    return mean, directions[:components].T.astype(np.float16).astype(np.float32)


def make_bank(texts: list[str], places: Floats, mean: Floats, basis: Floats) -> Bank:
    """Return the bank of N scripts.

    Args:
        texts: the scripts.
        places: (N, K) the descriptions of their drawings, less the mean, on the basis.
        mean: (F,) from :func:`principal`.
        basis: (F, K) likewise.
    """
    scale = float(np.abs(places).max()) / 127 or 1.0
    # Like scripts side by side compress to a third.
    order = sorted(range(len(texts)), key=texts.__getitem__)
    codes = np.round(places[order] / scale).astype(np.int8)
    return Bank(mean, basis, scale, codes, [texts[i] for i in order])


def load_bank(path: Path) -> Bank:
    """Read ``bank.npz``.

    Raises:
        InputError: if the file is faulty.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            if int(held["version"]) != VERSION:
                raise InputError(f"{path} has version {int(held['version'])}; this cadcoder reads {VERSION}")
            texts = lzma.decompress(held["texts"].tobytes()).decode().split("\0")
            basis = held["basis"].astype(np.float32)
            views = ViewBank.of(held, len(texts))
            bank = Bank(held["mean"], basis, float(held["scale"]), held["codes"], texts, views)
        if bank.codes.shape != (len(texts), basis.shape[1]) or bank.mean.shape != basis.shape[:1]:
            raise ValueError("its arrays do not fit each other")
    except (OSError, ValueError, KeyError, EOFError, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no bank of programs ({error}); take the checkpoint's own file again") from None
    return bank


def describe_observation(observation: Observation | Drawn) -> Floats:
    """Return the description (2 * CELLS^2,) of a picture."""
    edges = np.zeros(observation.mask.shape, np.float32)
    edges[tuple(observation.points.T)] = observation.weights
    return describe(observation.mask, edges)


def describe_drawn(part: Drawable, camera: Camera) -> Floats:
    """Return the description (2 * CELLS^2,) of a part as a camera sees it, without seams."""
    from cadcoder.render.compare import draw_part

    return describe_observation(draw_part(part, replace(_blank_view(), camera=camera)))


@functools.lru_cache(maxsize=1)
def _blank_view() -> Observation:
    """Return a view of nothing in particular."""
    from cadcoder.render.compare import observe

    sheet = np.full((96, 96, 3), 255, dtype=np.uint8)
    sheet[30:66, 20:76] = 128
    return replace(observe(sheet), edges="lines", seams=False)


def describe_turned(observation: Observation) -> Floats:
    """Return the description (2 * CELLS^2,) of a picture turned upside down."""
    grids = describe_observation(observation).reshape(2, CELLS, CELLS)
    return np.ascontiguousarray(grids[:, ::-1, ::-1]).reshape(-1)


def describe_gencad(picture: npt.NDArray[np.uint8]) -> Floats:
    """Return the description of a drawing in the GenCAD look (H, W) grey, without the work that a photograph needs."""
    mask = picture < 250
    inner = mask  # without the outline
    for axis in (0, 1):
        inner = inner & np.roll(mask, 2, axis) & np.roll(mask, -2, axis)
    return describe(mask, (picture < 60) & inner)


def describe(mask: npt.NDArray[np.bool_], edges: npt.NDArray[Any]) -> Floats:
    """Return the description (2 * CELLS^2,) of a silhouette (h, w) and how much each pixel (h, w) is an inner edge."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros(2 * CELLS**2, np.float32)
    cells = (_cells(rows[0], rows[-1] + 1, columns[-1] + 1 - columns[0]), slice(rows[0], rows[-1] + 1))
    across = (_cells(columns[0], columns[-1] + 1, rows[-1] + 1 - rows[0]), slice(columns[0], columns[-1] + 1))
    cover, lines = (cells[0] @ values[cells[1], across[1]].astype(np.float32) @ across[0].T for values in (mask, edges))
    lines = ndimage.gaussian_filter(lines, SPREAD)
    parts = [part / max(float(np.linalg.norm(part)), 1e-6) for part in (cover, lines)]
    return np.concatenate([part.ravel() for part in parts]).astype(np.float32)


def _cells(start: int, stop: int, other: int) -> Floats:
    """Return the 0/1 matrix (CELLS, stop - start) that adds pixels up to cells of the square around a box.

    Args:
        start: first pixel of the box along this axis.
        stop: the one after its last.
        other: the box's length along the other axis.
    """
    length = stop - start
    side = max(length, other)
    place = np.arange(length) + 0.5 + (side - length) / 2
    cell = np.minimum((place * CELLS / side).astype(np.intp), CELLS - 1)
    return np.asarray(cell == np.arange(CELLS)[:, None], dtype=np.float32)
