"""Greedy scripts for held-out parts of every family, built with manifold3d and scored against the true solids."""

from __future__ import annotations

import os
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from train.answers import AnswerLoss
from train.config import Drawn, Recipe
from train.offline.pool import MeshPool

#: Families with several pictures of a part: which, and how many.
SEVERAL = {"turned_2": ("turned", 2), "turned_4": ("turned", 4)}


@torch.no_grad()
def greedy(answers: AnswerLoss, images: torch.Tensor, end: int, most: int) -> list[list[int]]:
    """Return the most likely tokens, one after the other, for pictures (B, S, S) or (B, views, S, S).

    Args:
        answers: the model and its prompt.
        images: uint8.
        end: id that ends a script; it is left out.
        most: tokens at most.
    """
    from transformers import DynamicCache

    model = answers.model
    embed = model.get_input_embeddings()
    rows, device = len(images), images.device
    features = answers.image_features(images)
    around = [embed(ids.to(device)).expand(rows, -1, -1).to(features.dtype) for ids in (answers.before, answers.after)]
    cache = DynamicCache()
    inputs = torch.cat([around[0], features, around[1]], dim=1)
    written: list[torch.Tensor] = []
    ended = torch.zeros(rows, dtype=torch.bool, device=device)
    for _ in range(most):
        out = model.model.language_model(inputs_embeds=inputs, past_key_values=cache, use_cache=True)
        token = model.lm_head(out.last_hidden_state[:, -1]).argmax(-1)
        written.append(torch.where(ended, end, token))
        ended |= token == end
        if bool(ended.all()):
            break
        inputs = embed(token[:, None]).to(inputs.dtype)
    table = torch.stack(written, dim=1).tolist()
    return [ids[: ids.index(end)] if end in ids else ids for ids in table]


def evaluate(recipe: Recipe, answers: AnswerLoss, pool: MeshPool, tokenizer: Any, parts: int = 256) -> dict[str, Any]:
    """Return, for every family, the share of scripts that build and their mean IoU (IoU_best, failures as 0).

    Args:
        recipe: the whole recipe.
        answers: the model and its prompt.
        pool: of a stage; its held-out parts are taken.
        tokenizer: of the run.
        parts: how many of them.
    """
    rows = pool.held[:parts]
    store = pool.store
    families = {n: (n, 1) for n in recipe.drawn.shares()}
    if recipe.drawn.two + recipe.drawn.four > 0:
        families |= SEVERAL
    texts = tokenizer.batch_decode([_ids(store, int(r)) for r in rows])
    jobs: list[tuple[str, str]] = []
    answers.model.eval()
    for kind, views in families.values():
        none = dict.fromkeys(recipe.drawn.shares(), 0.0)
        mix: Drawn = replace(recipe.drawn, **{**none, kind: 1.0})
        batch = pool.draw(rows, [recipe.seed, 1], views, train=False, mix=mix)
        with torch.autocast(store.device.type, torch.bfloat16):
            ids = greedy(answers, batch.images, tokenizer.eos_token_id, recipe.data.max_tokens)
        jobs += list(zip(texts, tokenizer.batch_decode(ids), strict=True))
    workers = max(1, min(os.cpu_count() or 1, len(jobs) // 8))
    with get_context("spawn").Pool(workers) as processes:
        found = np.array(processes.map(_score, jobs, chunksize=4)).reshape(len(families), len(rows))
    report = {}
    for name, scores in zip(families, found, strict=True):
        filled = np.nan_to_num(scores, nan=0.0)
        error = 1.96 * float(filled.std()) / len(filled) ** 0.5
        report[name] = {"valid": float(np.isfinite(scores).mean()), "iou_best": float(filled.mean()), "error": error}
    return report


def load_answers(folder: Path, device: torch.device) -> tuple[AnswerLoss, Any]:
    """Return a finished checkpoint as training sees it, and its tokenizer."""
    from transformers import LlavaForConditionalGeneration, LlavaProcessor

    from cadcoder.model.checkpoint import prompt_ids, read_card

    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).to(device).eval()
    processor: Any = LlavaProcessor.from_pretrained(folder)
    before, after = prompt_ids(processor, read_card(folder).prompt)
    return AnswerLoss(model, before, after), processor.tokenizer


def _ids(store: Any, row: int) -> list[int]:
    low, high = int(store.offsets[row]), int(store.offsets[row + 1]) - 1
    return [int(i) for i in store.ids[low:high]]


def _score(job: tuple[str, str]) -> float:
    """Return the IoU of what two scripts build, NaN where the second builds nothing."""
    from cadcoder.errors import CadCoderError
    from cadcoder.geometry.build import build
    from cadcoder.geometry.metrics import iou_best
    from cadcoder.program import parse

    true, ours = job
    try:
        solid = build(parse(ours))
        return float(iou_best(build(parse(true)), solid))
    except (CadCoderError, ArithmeticError, ValueError):
        return float("nan")
