"""Evaluation while training: the held-out loss, and scripts that are written, run and measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from cadcoder.model.generate import clean
from train.llava.distribution import World
from train.llava.encode import Collate, Reader
from train.llava.loss import answer_tokens

Array = np.ndarray[Any, Any]


def summed(values: list[float], device: torch.device) -> list[float]:
    """Return numbers summed over all ranks."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return values
    tensor = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(tensor)
    return [float(v) for v in tensor]


def shares(count: int, world: World) -> list[tuple[int, bool]]:
    """Return this rank's numbers below ``count``, as many on every rank, each with whether it counts."""
    rounds = -(-count // world.size)
    at = [i * world.size + world.rank for i in range(rounds)]
    return [(min(i, count - 1), i < count) for i in at]


@torch.no_grad()
def held_out_loss(
    engine: Any, reader: Reader, collate: Collate, held: Array, micro: int, world: World, device: torch.device
) -> float:
    """Return the mean loss a token over the held-out samples; all ranks call, each computes its share."""
    engine.eval()
    groups = [held[i : i + micro] for i in range(0, len(held), micro)]
    total = [0.0, 0.0]
    for at, counts in shares(len(groups), world):
        batch = collate([reader[(-1, int(i))] for i in groups[at]])
        pixels = batch["pixel_values"]
        loss = engine(
            batch["input_ids"].to(device), batch["labels"].to(device), None if pixels is None else pixels.to(device)
        )
        if counts:
            total[0] += float(loss)
            total[1] += answer_tokens(batch["labels"])
    engine.train()
    loss, tokens = summed(total, device)
    return loss / max(1.0, tokens)


@torch.no_grad()
def scripts(
    llava: Any,
    reader: Reader,
    held: Array,
    count: int,
    limit: int,
    world: World,
    device: torch.device,
    reward: Any,
    deep: bool,
) -> dict[str, float]:
    """Return the valid syntax rate and the mean IoU (failures as 0) of greedy scripts of held-out samples.

    The scripts run in the executor, which never trusts them; the true parts are made by the samples' own scripts.

    Args:
        llava: the model inside the engine.
        reader: reads samples.
        held: the held-out samples.
        count: how many are written.
        limit: longest script in tokens.
        world: this process's place.
        device: where.
        reward: judges scripts; its executor starts once for all evaluations.
        deep: whether all ranks must take every step together (ZeRO stage 3).
    """
    llava.eval()
    encoder = reader.encoder
    written: list[str] = []
    truths: list[str] = []
    for at, counts in shares(min(count, len(held)), world):
        sample = reader[(-1, int(held[at]))]
        # What comes before the first learnt token is what the model is given at inference.
        start = next(i for i, label in enumerate(sample["labels"]) if label != -100)
        ids = torch.tensor([sample["ids"][:start]], device=device)
        pixels = sample["pixels"][None].to(device, next(llava.parameters()).dtype)
        out = llava.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=pixels,
            max_new_tokens=limit,
            do_sample=False,
            use_cache=True,
            synced_gpus=deep and world.size > 1,
        )
        if counts:
            written.append(clean(encoder.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)))
            truths.append(reader.samples[int(held[at])].answer)
    llava.train()
    seen: dict[str, float] = {}
    marks = reward(completions=written, truth_code=truths, log_metric=lambda k, v: seen.update({k: v}))
    valid = round(seen.get("valid_ratio", 0.0) * len(written))
    good = [m for m in marks if m is not None]
    right, measured, iou = summed([float(valid), float(len(good)), float(sum(good))], device)
    return {"valid_syntax_rate": right / max(1.0, measured), "iou_best": iou / max(1.0, measured)}
