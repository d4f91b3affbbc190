"""What a run shows: a line with tokens a second, MFU and the end; TensorBoard; a row a step in ``metrics.jsonl``."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from cadcoder.errors import MissingDependency
from train.llava.flops import Cost
from train.llava.loss import answer_tokens
from train.llava.measure import summed
from train.llava.state import Progress
from train.loop import say


class Watch:
    """Keeps the figures of a stage; rank 0 writes, all ranks count."""

    def __init__(self, run: Any, progress: Progress, price: Cost, peak: tuple[float, str]) -> None:
        """Take the stage, its progress, the cost of its samples, and the device's peak."""
        self.run, self.progress, self.price, self.peak = run, progress, price, peak
        self.first = run.world.first
        self.file: Path = run.folder / "metrics.jsonl"
        self._writer: Any = None
        self._trackers: list[Any] = []
        self._since = [0.0, 0.0]  # tokens, operations
        self._clock = self._started = time.monotonic()
        self._step0 = progress.step
        self._before = progress.seconds

    def begin(self) -> None:
        """Open the writers, and say what is trained how.

        Raises:
            MissingDependency: if a tracker was asked for and is not installed.
        """
        run, p = self.run, self.progress
        if not self.first:
            return
        from torch.utils.tensorboard import SummaryWriter

        kept = []
        if self.file.exists():  # rows after the checkpoint belong to steps that are taken again
            kept = [
                r for r in self.file.read_text().splitlines() if r.endswith("}") and json.loads(r)["step"] <= p.step
            ]
        partial = self.file.with_suffix(".partial")
        partial.write_text("".join(f"{row}\n" for row in kept))
        os.replace(partial, self.file)
        self._writer = SummaryWriter(str(run.folder / "log"), purge_step=p.step if p.step else None)
        self._open_trackers()
        trained = sum(
            q.ds_numel if hasattr(q, "ds_numel") else q.numel() for q in run.engine.parameters() if q.requires_grad
        )
        force = ", ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in run.facts.items())
        say(f"{run.name}: in force: {force}")
        say(
            f"{run.name}: {trained / 1e6:.2f} M trained ({', '.join(run.trained)}), {len(run.split.train):,} samples, "
            f"{len(run.split.held):,} held out, {run.split.dropped:,} too long and dropped, {run.steps:,} steps of "
            f"{run.stage.batch}" + (f", from step {p.step:,} on" if p.step else "")
        )

    def _open_trackers(self) -> None:
        for name in self.run.recipe.report:
            try:
                module: Any = __import__(name)
            except ImportError:
                raise MissingDependency(f"report: {name} is not installed: pip install {name}") from None
            module.init(project="cadcoder", name=f"{self.run.recipe.name}-{self.run.name}")
            self._trackers.append(module)

    def step(self, group: list[dict[str, Any]], loss: float, norm: float) -> None:
        """Take note of a step."""
        run, p = self.run, self.progress
        tokens = sum(b["tokens"] for b in group)
        p.tokens += tokens * run.world.size
        squares = sum(b["tokens"] ** 2 / len(b["index"]) for b in group)
        answers = sum(answer_tokens(b["labels"]) for b in group)
        pictures = sum(0 if b["pixel_values"] is None else len(b["pixel_values"]) for b in group)
        self._since[0] += tokens
        self._since[1] += self.price.of(tokens, squares, answers, pictures)
        p.seconds = self._before + time.monotonic() - self._started
        row: dict[str, Any] = {
            "step": p.step,
            "loss": loss,
            "gradient_norm": norm,
            "rate": run.stage.lr * run.factor(p.step - 1),
        }
        if p.step % run.recipe.log_steps == 0 or p.step == self._step0 + 1 or p.step == run.steps:
            row |= self._speed(row)
        if not self.first:
            return
        with self.file.open("a") as out:
            out.write(json.dumps(row) + "\n")
        for key, value in row.items():
            if key != "step":
                self._writer.add_scalar(f"train/{key}", value, p.step)
        for tracker in self._trackers:
            tracker.log({f"train/{k}": v for k, v in row.items()}, step=p.step)

    def _speed(self, row: dict[str, Any]) -> dict[str, float]:
        """Return tokens a second and MFU since the last line, and show it."""
        run, p = self.run, self.progress
        now = time.monotonic()
        took, self._clock = max(1e-9, now - self._clock), now
        tokens, operations = summed(self._since, run.device)
        self._since = [0.0, 0.0]
        speed, mfu = tokens / took, operations / took / (self.peak[0] * run.world.size)
        left = (now - self._started) / max(1, p.step - self._step0) * (run.steps - p.step)
        if self.first:
            say(
                f"{run.name}: {100 * p.step / run.steps:5.1f} %  step {p.step:,}/{run.steps:,}  "
                f"loss {row['loss']:.4f}  "
                f"rate {row['rate']:.1e}  {speed:,.0f} tokens/s  MFU {100 * mfu:.1f} %  {clock(left)} left"
            )
        return {"tokens_per_second": speed, "mfu": mfu}

    def evaluated(self, row: dict[str, float], better: bool) -> None:
        """Take note of an evaluation."""
        self._clock = time.monotonic()
        if not self.first:
            return
        for key, value in row.items():
            if key != "step":
                self._writer.add_scalar(f"held_out/{key}", value, self.progress.step)
        for tracker in self._trackers:
            tracker.log({f"held_out/{k}": v for k, v in row.items()}, step=self.progress.step)
        figures = ", ".join(f"{k.replace('_', ' ')} {v:.4f}" for k, v in row.items() if k != "step")
        say(f"{self.run.name}: step {self.progress.step:,}: {figures}" + (" (best)" if better else ""))

    def end(self) -> None:
        """Close the writers."""
        if self._writer is not None:
            self._writer.close()
        for tracker in self._trackers:
            tracker.finish()


def clock(seconds: float) -> str:
    """Return a duration as a person reads it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
