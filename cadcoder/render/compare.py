"""How alike a picture and a candidate solid are, fast enough to ask hundreds of times while numbers are fitted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cadcoder.render.look import GENCAD_LOOK, Look
from cadcoder.render.mesh import Drawable, SolidLike, drawable
from cadcoder.render.observe import Mask, Observation, depth_weights, observe
from cadcoder.render.window import window

__all__ = ["Drawn", "Likeness", "Observation", "compare", "draw_for_compare", "draw_part", "likeness", "observe"]

#: Edges farther apart than this (pixels of the canvas) have nothing in common.
REACH = 6.0
#: Difference of brightness (of 255) at which shading has nothing in common.
GREY_REACH = 30.0
#: Neighbouring normals that differ by more than this (of 255, largest component) make a step.
NORMAL_STEP = 40
#: Weights of silhouette, inner edges and shading.
WEIGHTS = (0.5, 0.3, 0.2)

_LOOK = Look(face=(1.0, 1.0, 1.0), edge=(1.0, 1.0, 0.0), background=(0.0, 0.0, 0.0), normals=True)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A candidate on the canvas (h, w) of an observation.

    Attributes:
        mask: (h, w) its silhouette.
        cover: (h, w) float32, how much of each pixel the silhouette covers: 1/2 under an edge on its border.
        faces: (h, w) where a face and no edge is seen.
        normals: (h, w, 3) uint8 unit normals in the camera's axes, where ``faces``; 0 is -1 and 255 is 1.
        points: (N, 2) rows and columns of its edges.
        weights: (N,) how much each counts, as in :class:`Observation`.
    """

    mask: Mask
    cover: npt.NDArray[np.float32]
    faces: Mask
    normals: npt.NDArray[np.uint8]
    points: npt.NDArray[np.intp]
    weights: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two pictures are: three parts and their weighted mean, each in [0, 1]."""

    silhouette: float
    edges: float
    shading: float

    @property
    def total(self) -> float:
        """The weighted mean."""
        return WEIGHTS[0] * self.silhouette + WEIGHTS[1] * self.edges + WEIGHTS[2] * self.shading


def likeness(observation: Observation, solid: SolidLike) -> float:
    """Return how alike a picture and a solid are, in [0, 1]; 1 is the same.

    Args:
        observation: the picture, from :func:`cadcoder.render.observe.observe`.
        solid: the candidate.

    Raises:
        InputError: if the solid is empty or not finite.
    """
    return compare(observation, draw_for_compare(solid, observation)).total


def draw_for_compare(solid: SolidLike, observation: Observation) -> Drawn:
    """Draw a candidate as an observation sees it: same view, frame and kind of edges.

    Raises:
        InputError: if the solid is empty or not finite.
    """
    return draw_part(drawable(solid, seams=observation.seams), observation)


def draw_part(part: Drawable, observation: Observation) -> Drawn:
    """Draw what :func:`cadcoder.render.mesh.drawable` made of a candidate, as :func:`draw_for_compare` does.

    Args:
        part: with or without seams, as the observation says.
        observation: the picture.
    """
    size = observation.size
    image = window(size).draw(part, observation.camera.view(part.low, part.points, size), _LOOK)
    faces = image[..., 2] > 0
    mask = faces | (image[..., 0] > 0)
    if observation.edges == "lines":
        marks = mask & ~faces
    else:
        marks = _normal_steps(image, faces)
    points = np.argwhere(marks)
    cover = mask.astype(np.float32)
    if not observation.exact:
        # Lines are a pixel wide wherever they are: on the border half of the pixel is outside.
        inside = np.zeros_like(mask)
        inside[1:-1, 1:-1] = mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
        cover[mask & ~faces & ~inside] = 0.5
    return Drawn(
        mask=mask,
        cover=cover,
        faces=faces,
        normals=image,
        points=points,
        weights=depth_weights(mask, points),
    )


def compare(observation: Observation, drawn: Drawn) -> Likeness:
    """Compare a picture with a candidate drawn for it."""
    union = float(np.maximum(observation.cover, drawn.cover).sum())
    return Likeness(
        silhouette=float(np.minimum(observation.cover, drawn.cover).sum()) / union if union else 0.0,
        edges=_edge_likeness(observation, drawn),
        shading=_shading(observation, drawn),
    )


def _edge_likeness(observation: Observation, drawn: Drawn) -> float:
    """Symmetric chamfer: mean over both edge sets of how near the other one is, 0 from ``REACH`` on."""
    a, b = observation.points, drawn.points
    near_a = np.zeros(len(a))
    near_b = np.zeros(len(b))
    if len(a) and len(b):
        near_a[:] = _nearness(a, b, observation.mask.shape)
        near_b = np.clip(1.0 - observation.distance[b[:, 0], b[:, 1]] / REACH, 0.0, 1.0)
    # A few pixels' worth of agreement on both sides: next to no edges in both is agreement too.
    few = 10.0
    found = (near_a @ observation.weights + few) / (observation.weights.sum() + few)
    right = (near_b @ drawn.weights + few) / (drawn.weights.sum() + few)
    return float(found + right) / 2


def _nearness(
    points: npt.NDArray[np.intp], others: npt.NDArray[np.intp], shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """Return how near each point (N, 2) is to the others (M, 2): 1 on one of them, 0 from ``REACH`` on.

    The pixels around each point are looked at from the nearest to the farthest: a tenth of the time of a distance
    transform of the canvas.
    """
    width = shape[1] + 2 * _MARGIN
    taken = np.zeros((shape[0] + 2 * _MARGIN) * width, dtype=bool)
    taken[(others[:, 0] + _MARGIN) * width + others[:, 1] + _MARGIN] = True
    centres = (points[:, 0] + _MARGIN) * width + points[:, 1] + _MARGIN
    found = taken[centres[:, None] + (_DISC[:, 0] * width + _DISC[:, 1])]
    first = found.argmax(axis=1)
    return np.where(found[np.arange(len(points)), first], _NEAR[first], np.float32(0.0))


def _shading(observation: Observation, drawn: Drawn) -> float:
    """Mean agreement of brightness over the faces that both see, for the best light of the observation's kind."""
    if observation.light == "none":
        return 1.0
    seen = drawn.faces & np.isfinite(observation.grey)
    if seen.sum() < 8:
        return 0.0
    grey = observation.grey[seen].astype(np.float64)
    if observation.light == "camera":
        model = _CAMERA_LIGHT[drawn.normals[..., 2][seen]]
        expected = model * float(np.median(grey / model))
        reach = GREY_REACH
    else:
        normals = _UNIT[drawn.normals[seen]]
        terms = np.concatenate([np.ones((len(normals), 1)), normals], axis=1)
        gram = terms.T @ terms + 1e-3 * len(grey) * np.diag([0.0, 1.0, 1.0, 1.0])
        expected = terms @ np.linalg.solve(gram, terms.T @ grey)
        reach = max(GREY_REACH, 2.0 * float(grey.std()))
    return float(np.clip(1.0 - np.abs(grey - expected) / reach, 0.0, 1.0).mean())


def _normal_steps(image: npt.NDArray[np.uint8], faces: Mask) -> Mask:
    """Return where the normal jumps between neighbours; a drawn edge between them does not count by itself."""
    # Fill the drawn edges from their neighbours first: they hide the normals on both sides.
    filled = image.astype(np.int16)
    hidden = (image[..., 2] == 0) & (image[..., 0] > 0)
    if hidden.any():
        nearest = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
        filled = filled[tuple(nearest)]
    solid = faces | hidden
    marks = np.zeros(faces.shape, dtype=bool)
    for axis in (0, 1):
        a = [slice(None)] * 2
        b = [slice(None)] * 2
        a[axis], b[axis] = slice(None, -1), slice(1, None)
        jump = np.abs(filled[tuple(a)] - filled[tuple(b)]).max(axis=-1) > NORMAL_STEP
        marks[tuple(a)] |= jump & solid[tuple(a)] & solid[tuple(b)]
    return marks


def _encode(linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The sRGB curve (IEC 61966-2-1), to [0, 255]."""
    return np.asarray(255.0 * (1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055))


#: Rows and columns of the pixels nearer than ``REACH``, the nearest first, and how near they are.
_MARGIN = math.ceil(REACH)
_SQUARE = np.argwhere(np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1))) - _MARGIN
_DISC = _SQUARE[np.argsort((_SQUARE**2).sum(axis=1), kind="stable")]
_DISC = _DISC[(_DISC**2).sum(axis=1) < REACH**2]
_NEAR = np.clip(1.0 - np.sqrt((_DISC**2).sum(axis=1)).astype(np.float32) / REACH, 0.0, 1.0)
#: A normal's component by its byte, and the brightness of the GenCAD look by that of the component towards the eye.
_UNIT = (np.arange(256, dtype=np.float32) / 127.5 - 1.0).astype(np.float64)
_CAMERA_LIGHT = _encode(GENCAD_LOOK.ambient + GENCAD_LOOK.diffuse * np.clip(_UNIT, 0.0, 1.0))
