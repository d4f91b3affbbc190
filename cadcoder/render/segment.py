"""What in a picture is the part and what is background: flat pages and screens, photographs with shadows and noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

#: A difference from the background (of 255, largest channel) that is seen in a clean picture and in a photograph.
CLEAN_STEP, PHOTO_STEP = 14.0, 7.0
#: The background of a photograph scatters by more than this (of 255, 95th percentile).
GRAIN = 1.5
#: A picture in which less than this share of what stands out is thicker than a line is a drawing.
LINES = 0.15
#: Photographs are looked at no larger than this (longest side in pixels).
PHOTO_SIDE = 512
#: A shadow keeps from this share of the background's light up, and its colour to within so much (of 255).
SHADOW, SHADOW_COLOUR = 0.45, 10.0


def foreground(image: npt.NDArray[np.uint8]) -> Mask:
    """Return what differs from the background, which is taken to be a quadratic surface through the border.

    In photographs, shadows do not count.

    Args:
        image: (H, W, 3) uint8.
    """
    h, w = image.shape[:2]
    surface, noise = _background(image.astype(np.float32))
    difference = np.abs(image.astype(np.float32) - surface).max(axis=-1)
    mask = difference > max(CLEAN_STEP, 2.5 * noise)
    if noise > 3.0:
        mask = ndimage.binary_opening(ndimage.binary_closing(mask, iterations=2), iterations=1)
    mask = _without_crumbs(mask)
    if noise <= GRAIN or not _is_thick(mask):
        return mask
    scale = min(1.0, PHOTO_SIDE / max(h, w))
    small = Pillow.fromarray(image)
    if scale < 1.0:
        small = small.resize((max(1, round(w * scale)), max(1, round(h * scale))), Pillow.Resampling.BOX)
    found = _photographed(np.asarray(small))
    if not found.any():
        return mask
    return np.asarray(Pillow.fromarray(found).resize((w, h), Pillow.Resampling.NEAREST), dtype=bool)


def _background(image: Floats) -> tuple[Floats, float]:
    """Return the surface (H, W, 3) through the border of a picture, and by how much the border scatters around it."""
    h, w = image.shape[:2]
    band = max(2, min(h, w) // 40)
    frame = np.ones((h, w), dtype=bool)
    frame[band:-band, band:-band] = False
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    x, y = x / w * 2 - 1, y / h * 2 - 1
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    seen, at = image[frame], terms[frame]
    keep = np.ones(len(at), dtype=bool)
    for _ in range(3):  # the part may touch the border: leave out what does not fit
        coefficients = np.linalg.lstsq(at[keep], seen[keep], rcond=None)[0]
        off = np.abs(seen - at @ coefficients).max(axis=1)
        keep = off <= max(6.0, 3.0 * float(np.median(off)))
        if keep.sum() < 20:
            break
    noise = float(np.percentile(off[keep], 95)) if keep.any() else 0.0
    return np.asarray(terms @ coefficients, dtype=np.float32), noise


def _photographed(image: npt.NDArray[np.uint8]) -> Mask:
    """Return the part in a photograph (H, W, 3): what differs, cut off where the brightness jumps.

    Shadows fall off softly and keep the background's colour; the flood from outside runs into them and stops at the
    part (image foresting transform; Falcao et al., IEEE TPAMI 26, 2004).
    """
    soft, sharp = (_smooth(image, sigma) for sigma in (1.2, 1.0))
    surface, noise = _background(soft)
    away = soft - surface
    mask = ndimage.binary_opening(np.abs(away).max(axis=-1) > max(PHOTO_STEP, 1.6 * noise), iterations=2)
    if not mask.any():
        return np.asarray(mask)
    light = (soft * surface).sum(-1) / np.maximum((surface * surface).sum(-1), 1.0)
    colour = np.abs(soft - light[..., None] * surface).max(-1)
    shadow = (light < 1.0) & (light > SHADOW) & (colour < SHADOW_COLOUR)
    depth = ndimage.distance_transform_edt(mask)
    sure = mask & ((~shadow & (depth > 3)) | (depth > 0.8 * depth.max()))
    seeds = np.zeros(mask.shape, dtype=np.int16)
    seeds[~ndimage.binary_dilation(mask, iterations=3)] = 1
    seeds[sure] = 2
    # Brightness along the direction in which the part differs most from the background.
    differences = away[sure]
    axis = np.linalg.svd(differences[:: max(1, len(differences) // 2000)], full_matrices=False)[2][0]
    along = sharp @ axis
    flooded = ndimage.watershed_ift(np.clip((along - along.min()) * 40, 0, 65535).astype(np.uint16), seeds)
    return _without_crumbs(np.asarray(flooded == 2))


def _smooth(image: npt.NDArray[np.uint8], sigma: float) -> Floats:
    return np.asarray(ndimage.gaussian_filter(image.astype(np.float32), (sigma, sigma, 0)))


def _is_thick(mask: Mask) -> bool:
    """Whether faces stand out, not lines alone."""
    reach = max(2, round(max(mask.shape) * 0.008))
    thick = ndimage.binary_opening(mask, structure=np.ones((2 * reach + 1, 2 * reach + 1)))
    return bool(thick.sum() > LINES * mask.sum())


def _without_crumbs(mask: Mask) -> Mask:
    """Return the mask without what is less than a hundredth of its largest piece."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count > 1:
        areas = np.bincount(labels.ravel())
        areas[0] = 0
        mask = (areas >= max(4, 0.01 * areas.max()))[labels]
    return np.asarray(mask, dtype=bool)
