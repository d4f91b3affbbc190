"""What a recipe asks of a machine, and what the machine gives: operations a sample, the floor, and measured rates."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from cadcoder.model.build import Sizes
from cadcoder.render.raster_effects import Dice
from cadcoder.render.raster_looks import FAMILIES
from train.config import Recipe
from train.export import recipe_framing
from train.offline.squares import depth_grids, frame
from train.offline.store import Store

#: Tokens of a script, with its end, and of the prompt around the pictures; parameters of the vocabulary's table.
ANSWER, PROMPT = 30, 4


def operations(sizes: Sizes, views: int = 1, answer: int = ANSWER, vocabulary: int = 1536) -> dict[str, float]:
    """Return the floating-point operations of one training sample: forward, and twice that backward.

    Products of weights and attention alone, two operations a multiplication and addition; ``vision`` is the tower and
    the projector, ``decoder`` the rest.
    """
    tokens = sizes.image_tokens + 1
    d, layers = sizes.vision_width, sizes.vision_layers
    tower = layers * (24 * tokens * d * d + 4 * tokens * tokens * d) + 6 * tokens * sizes.patch**2 * d
    projector = 2 * sizes.image_tokens * (d * sizes.width + sizes.width**2)
    length = views * sizes.image_tokens + PROMPT + answer
    w = sizes.width
    shared = 2 + 2 * sizes.kv_heads / sizes.heads
    decoder = sizes.layers * (2 * length * (shared * w * w + 3 * w * sizes.feed_forward) + 2 * length * length * w)
    head = 2 * answer * w * vocabulary
    return {"vision": 3.0 * views * (tower + projector), "decoder": 3.0 * (decoder + head)}


def ceilings(device: torch.device) -> dict[str, float]:
    """Return the measured bytes a second of a copy, counted twice, and operations a second of a bf16 product."""
    big = device.type == "cuda"
    source = torch.randn(2**29 if big else 2**22, device=device)
    target = torch.empty_like(source)
    side = 8192 if big else 512
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    copy = median_seconds(lambda: target.copy_(source), device)
    product = median_seconds(lambda: a @ b, device)
    return {"bytes_per_second": 8 * source.numel() / copy, "operations_per_second": 2 * side**3 / product}


def drawing_rates(recipe: Recipe, store: Store, count: int) -> dict[str, float]:
    """Return the pictures a second of each family, framing and depth included, in batches of ``count``."""
    rows = store.usable[np.arange(count) % len(store.usable)]
    meshes = store.take(rows)
    size, how = recipe.model.image, recipe_framing(recipe)
    found = {}
    for name, draw in FAMILIES.items():
        generator = torch.Generator(store.device).manual_seed(0)

        def once(draw: Callable[..., Any] = draw, generator: torch.Generator = generator) -> None:
            drawn = draw(meshes, Dice(count, generator, store.device), recipe.drawn.canvas)
            _, places = frame(drawn.pictures, size, how)
            depth_grids(drawn.nearness, places, size)

        found[name] = count / median_seconds(once, store.device, 5)
    shares = recipe.drawn.shares()
    found["mix"] = 1 / sum(share / found[name] for name, share in shares.items())
    return found


def same_on_both(store: Store, count: int, canvas: int) -> float:
    """Return the share of pixels that a CPU draws as the device does."""
    meshes = store.take(store.usable[:count])
    drawn = []
    for device in (store.device, torch.device("cpu")):
        dice = Dice(count, torch.Generator(device).manual_seed(0), device)
        drawn.append(FAMILIES["corner"](meshes.to(device), dice, canvas).pictures.cpu())
    return float((drawn[0] == drawn[1]).float().mean())


def median_seconds(work: Callable[[], Any], device: torch.device, repeats: int = 7) -> float:
    """Return the median time of some work, warmed up once, with the device waited for."""
    times = []
    for i in range(repeats + 1):
        _wait(device)
        began = time.perf_counter()
        work()
        _wait(device)
        if i:
            times.append(time.perf_counter() - began)
    return float(np.median(times))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
