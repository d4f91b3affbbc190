"""The training loop that all stages share: one process, plain PyTorch, resumable at any point.

Each stage has a folder ``OUT/STAGE/`` with ``last.pt`` (weights, optimizer, random state, position in the data),
``stable.pt`` (the same, from before the final decay: a longer run goes on from it), ``best.pt`` (weights with the
lowest held-out loss), TensorBoard scalars, and ``done.json`` at the end.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cadcoder.errors import CadCoderError
from train.config import OutOfTime, Recipe, Stage
from train.data import Batch, Pool
from train.optim import build_optimizers, learning_rate, set_rate

Loss = Callable[["Tensors"], tuple[torch.Tensor, dict[str, float]]]


class TrainingFailed(CadCoderError):
    """Training cannot go on; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Tensors:
    """A batch on the device; shapes as in :class:`train.data.Batch`, or images (batch, views, size, size)."""

    images: torch.Tensor
    depths: torch.Tensor
    ids: torch.Tensor
    lengths: torch.Tensor


@dataclass
class Job:
    """What a stage trains.

    Attributes:
        name: of the stage.
        module: whose state is saved.
        trained: the part whose parameters are trained.
        loss: of a batch: the mean loss and further scalars.
        report: of the held-out batches: further figures, shown and kept at every evaluation.
    """

    name: str
    module: torch.nn.Module
    trained: torch.nn.Module
    loss: Loss
    report: Callable[[Iterator[Tensors]], dict[str, float]] | None = None


@dataclass
class Progress:
    """Where a stage is."""

    step: int = 0
    samples: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best: float = math.inf
    held: float = math.nan
    history: list[tuple[int, float]] = field(default_factory=list)
    report: dict[str, float] = field(default_factory=dict)


class StageRun:
    """One stage of a recipe, from its start or from where it was left."""

    def __init__(self, recipe: Recipe, job: Job, pool: Pool, device: torch.device, deadline: float = math.inf) -> None:
        """Prepare the stage; nothing is loaded yet.

        Args:
            recipe: the whole recipe.
            job: what is trained.
            pool: the samples.
            device: where.
            deadline: of ``time.monotonic()``; :meth:`run` stops there.
        """
        self.recipe, self.job, self.pool, self.device, self.deadline = recipe, job, pool, device, deadline
        self.stage: Stage = getattr(recipe, job.name)
        self.folder = Path(recipe.out) / job.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.progress = Progress()
        self.optimizers = build_optimizers(job.trained, self.stage, device)
        self._writer: Any = None

    def share(self) -> float:
        """Return the share of the stage that is done, 0 to 1."""
        if self.stage.minutes is not None:
            return min(1.0, self.progress.seconds / (60 * self.stage.minutes)) if self.stage.minutes else 1.0
        return min(1.0, self.progress.samples / self.stage.samples) if self.stage.samples else 1.0

    def is_done(self) -> bool:
        """Whether a run of at least this length has ended here."""
        path = self.folder / "done.json"
        if self.stage.is_off:
            return True
        if not path.exists():
            return False
        done = json.loads(path.read_text())
        wanted = self.stage.minutes, self.stage.samples
        if wanted[0] is not None:
            return bool((done["minutes"] or 0) >= wanted[0])
        return bool(done["samples_seen"] >= (wanted[1] or 0))

    def load_best(self) -> None:
        """Load the weights that the stage left; nothing where it left none."""
        path = self.folder / "best.pt"
        if path.exists():
            self.job.module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))

    def resume(self) -> bool:
        """Load the last state; after a finished stage that is to be longer, the one from before its decay."""
        done = self.folder / "done.json"
        path = self.folder / ("stable.pt" if done.exists() and (self.folder / "stable.pt").exists() else "last.pt")
        if not path.exists():
            return False
        state = torch.load(path, map_location="cpu", weights_only=False)
        self.job.module.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.progress = Progress(**state["progress"])
        self.pool.restore(state["position"])
        torch.set_rng_state(state["rng"])
        if self.device.type == "cuda" and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"])
        done.unlink(missing_ok=True)
        return True

    def save(self, name: str, position: dict[str, Any]) -> None:
        """Write a state whole or not at all."""
        cuda = torch.cuda.get_rng_state() if self.device.type == "cuda" else None
        state = {
            "model": self.job.module.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "progress": vars(self.progress),
            "position": position,
            "rng": torch.get_rng_state(),
            "cuda_rng": cuda,
        }
        _write(self.folder / name, state)

    def run(self) -> Progress:
        """Train to the end of the stage and leave its best weights loaded.

        Raises:
            OutOfTime: at the deadline, with the state saved.
        """
        from torch.utils.tensorboard import SummaryWriter

        resumed = self.resume()
        p, stage = self.progress, self.stage
        self._writer = SummaryWriter(str(self.folder / "log"), purge_step=p.step if resumed else None)
        batches = self.pool.batches()
        clock = time.monotonic()
        saved, evaluated, logged = p.seconds, p.seconds, p.seconds
        since = (p.samples, p.seconds)
        recent: list[float] = []
        stable_saved = (self.folder / "stable.pt").exists() and self.share() >= 1 - stage.decay
        position = dict(self.pool.position)
        while self.share() < 1.0:
            if stage.schedule == "wsd" and not stable_saved and stage.decay and self.share() >= 1 - stage.decay:
                self.save("stable.pt", position)
                stable_saved = True
            rate = learning_rate(stage, self.share(), p.samples)
            set_rate(self.optimizers, rate)
            batch, position = next(batches)
            value, extra = self._step(batch, position)
            recent.append(value)
            now = time.monotonic()
            p.seconds += now - clock
            clock = now
            if p.seconds - logged >= self.recipe.log_seconds or p.step == 1:
                speed = (p.samples - since[0]) / max(1e-9, p.seconds - since[1])
                self._log(float(np.mean(recent)), rate, speed, extra)
                logged, since, recent = p.seconds, (p.samples, p.seconds), []
            if now >= self.deadline and self.share() < 1.0:
                self.save("last.pt", position)
                self._writer.close()
                raise OutOfTime(f"time is up in {self.job.name} at {100 * self.share():.1f} %")
            if p.seconds - evaluated >= 60 * self.recipe.eval_minutes:
                self.evaluate()
                evaluated = p.seconds
            if p.seconds - saved >= 60 * self.recipe.checkpoint_minutes:
                self.save("last.pt", position)
                saved = p.seconds
        self.evaluate()
        self.save("last.pt", position)
        self._finish()
        return p

    def _step(self, batch: Batch | Tensors, position: dict[str, Any]) -> tuple[float, dict[str, float]]:
        tensors = self._move(batch, position)
        self.job.module.train()
        with torch.autocast(self.device.type, torch.bfloat16):
            loss, extra = self.job.loss(tensors)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(
            [q for g in self.optimizers for group in g.param_groups for q in group["params"]], self.stage.clip
        )
        value = float(loss.detach())
        if not math.isfinite(value) or not math.isfinite(float(norm)):
            raise TrainingFailed(
                f"{self.job.name} diverged at step {self.progress.step}: the loss is {value}; "
                f"lower {self.job.name}.lr (now {self.stage.lr}) and start the same command again"
            )
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.progress.step += 1
        self.progress.samples += len(batch.lengths)
        self.progress.tokens += int(batch.lengths.sum())
        return value, {**extra, "gradient_norm": float(norm)}

    def _move(self, batch: Batch | Tensors, position: dict[str, Any] | None) -> Tensors:
        if isinstance(batch, Tensors):
            return batch  # drawn on the device, moved about and all
        images = batch.images
        shift = self.recipe.data.shift
        if position is not None and shift:
            # Seeded by the position, so that a resumed run shifts as the unbroken one does.
            rng = np.random.default_rng([self.recipe.seed, position["pass"], position["batch"]])
            images = shifted(images, rng, shift)
        arrays = (images, batch.depths, batch.ids, batch.lengths)
        return Tensors(*(torch.from_numpy(a).to(self.device, non_blocking=True) for a in arrays))

    @torch.no_grad()
    def evaluate(self) -> float:
        """Return the mean held-out loss, and keep the weights where it is the lowest so far."""
        p = self.progress
        self.job.module.eval()
        total, count = 0.0, 0
        for batch in self.pool.held_out(self.stage.batch):
            tensors = self._move(batch, None)
            with torch.autocast(self.device.type, torch.bfloat16):
                loss, _ = self.job.loss(tensors)
            weight = int(batch.lengths.sum())
            total, count = total + float(loss) * weight, count + weight
        p.held = total / max(1, count)
        p.history.append((p.samples, p.held))
        figures = {"loss/held_out": p.held}
        if self.job.report is not None:
            with torch.autocast(self.device.type, torch.bfloat16):
                p.report = self.job.report(self._move(b, None) for b in self.pool.held_out(self.stage.batch))
            figures.update(p.report)
        for name, figure in figures.items() if self._writer is not None else ():
            self._writer.add_scalar(name.replace(" ", "_"), figure, p.step)
        better = p.held < p.best
        if better or not (self.folder / "best.pt").exists():
            p.best = min(p.best, p.held)
            _write(self.folder / "best.pt", self.job.module.state_dict())
        more = "".join(f", {name} {figure:.3f}" for name, figure in p.report.items())
        more += f" after {p.samples:,} samples" + (" (best)" if better else "")
        say(f"{self.job.name}: held-out loss {p.held:.4f}{more}")
        return p.held

    def _log(self, loss: float, rate: float, speed: float, extra: dict[str, float]) -> None:
        p, share = self.progress, self.share()
        left = p.seconds * (1 - share) / share if share > 0 else math.inf
        for key, value in {"loss/train": loss, "rate": rate, "samples_per_second": speed, **extra}.items():
            self._writer.add_scalar(key, value, p.step)
        self._writer.add_scalar("samples", p.samples, p.step)
        eta = f"{left / 60:.0f} min left" if math.isfinite(left) else ""
        say(
            f"{self.job.name}: {100 * share:5.1f} %  step {p.step:,}  pass {self.pool.position['pass']} of "
            f"{len(self.pool.rows):,}  {p.samples:,} samples  {speed:.1f}/s  loss {loss:.4f}  rate {rate:.1e}  {eta}"
        )

    def _finish(self) -> None:
        p = self.progress
        done = {
            "minutes": self.stage.minutes,
            "samples_seen": p.samples,
            "tokens_seen": p.tokens,
            "steps": p.step,
            "seconds": round(p.seconds, 1),
            "held_out_loss": p.held,
            "best_held_out_loss": p.best,
            "report": p.report,
            "pool": len(self.pool.rows),
        }
        partial = self.folder / "done.json.partial"
        partial.write_text(json.dumps(done, indent=2) + "\n")
        os.replace(partial, self.folder / "done.json")
        self._writer.close()
        self.load_best()


def shifted(images: np.ndarray[Any, Any], rng: np.random.Generator, most: int) -> np.ndarray[Any, Any]:
    """Return the pictures moved by up to ``most`` pixels each way, the edge repeated."""
    padded = np.pad(images, ((0, 0), (most, most), (most, most)), mode="edge")
    moves = rng.integers(0, 2 * most + 1, (len(images), 2))
    size = images.shape[1]
    return np.stack([p[y : y + size, x : x + size] for p, (y, x) in zip(padded, moves, strict=True)])


def say(text: str) -> None:
    """Write a line for the person to stderr."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _write(path: Path, state: Any) -> None:
    partial = path.with_name(path.name + ".partial")
    torch.save(state, partial)
    os.replace(partial, path)
