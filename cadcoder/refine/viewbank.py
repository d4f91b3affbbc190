"""The part of a bank for pictures from anywhere: some of its programs, drawn from a grid of cameras.

What is found is a program and a camera at once, as Mask2CAD (Kuo et al., ECCV 2020) finds a model and its pose. Several
pictures of one part are looked for together: the program whose best views are nearest to all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ViewBank:
    """M programs seen from V cameras.

    Attributes:
        rows: (M,) which of the bank's programs.
        mean: (F,) of the descriptions.
        basis: (F, K) their principal components.
        scale: of the codes.
        codes: (M, V, K) int8; description = mean + basis @ (scale * code).
    """

    rows: npt.NDArray[np.int32]
    mean: Floats
    basis: Floats
    scale: float
    codes: npt.NDArray[np.int8]

    def nearest(self, descriptions: Sequence[Floats], count: int) -> list[tuple[int, tuple[int, ...]]]:
        """Return (row, camera of each picture) of the nearest programs, the nearest first.

        Of one picture the nearest pairs of program and camera are taken, at most two cameras a program.

        Args:
            descriptions: (F,) of each picture.
            count: how many to return.
        """
        total, cameras = np.zeros(self.codes.shape[:1], np.float32), []
        codes = self.codes.astype(np.float32)
        squares = (codes**2).sum(2)
        for description in descriptions:
            at = (description - self.mean) @ self.basis / self.scale
            far = squares - 2 * (codes @ at)
            cameras.append(np.argsort(far, axis=1)[:, :2])
            total += far.min(1)
            if len(descriptions) == 1:
                two = np.take_along_axis(far, cameras[0], 1)
                order = np.argsort(two, axis=None, kind="stable")[:count]
                pairs = [(int(i) // 2, int(i) % 2) for i in order]
                return [(int(self.rows[m]), (int(cameras[0][m, k]),)) for m, k in pairs]
        chosen = np.argsort(total, kind="stable")[:count]
        return [(int(self.rows[m]), tuple(int(c[m, 0]) for c in cameras)) for m in chosen]

    def arrays(self) -> dict[str, Any]:
        """Return what ``bank.npz`` holds of it."""
        return {
            "view_rows": self.rows,
            "view_mean": self.mean,
            "view_basis": self.basis.astype(np.float16),
            "view_scale": np.float32(self.scale),
            "view_codes": self.codes,
        }

    @staticmethod
    def of(held: Mapping[str, Any], programs: int) -> ViewBank | None:
        """Return what a ``bank.npz`` holds, None where it holds no views.

        Raises:
            ValueError: if the arrays do not fit each other, or a bank of so many programs.
        """
        if "view_codes" not in held:
            return None
        from cadcoder.refine.poses import GRID

        basis, rows, codes = held["view_basis"].astype(np.float32), held["view_rows"], held["view_codes"]
        if codes.shape != (len(rows), len(GRID), basis.shape[1]) or rows.max(initial=-1) >= programs:
            raise ValueError("its views do not fit")
        return ViewBank(rows, held["view_mean"], basis, float(held["view_scale"]), codes)
