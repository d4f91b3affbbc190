"""Checkpoints to go on from: written whole or not at all, exact, and bounded in number.

``step-00000200/`` holds the trained parameters, the optimizer, every rank's random state and the progress; frozen
weights are not written, they come from where they came from. Under DeepSpeed its own partitioned files are in it.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from cadcoder.errors import ConfigError
from train.llava.distribution import World


@dataclass
class Progress:
    """Where a stage is."""

    step: int = 0
    samples: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best: float = math.inf
    best_step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def barrier() -> None:
    """Wait for all ranks."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.barrier()


class Checkpoints:
    """The checkpoints of a stage."""

    def __init__(self, folder: Path, keep: int, world: World) -> None:
        """Take the folder, how many are kept, and this process's place."""
        self.folder, self.keep, self.world = folder, keep, world
        folder.mkdir(parents=True, exist_ok=True)

    def found(self) -> list[Path]:
        """Return the whole checkpoints, oldest first."""
        return sorted(p for p in self.folder.glob("step-*") if p.is_dir() and not p.name.endswith(".partial"))

    def save(self, progress: Progress, engine: Any, optimizer: Any) -> None:
        """Write one on all ranks together; older ones than ``keep`` go."""
        last = self.folder / f"step-{progress.step:08d}"
        partial = last.with_name(last.name + ".partial")
        if self.world.first:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        barrier()
        rng = {"torch": torch.get_rng_state()}
        if torch.cuda.is_available():
            rng["cuda"] = torch.cuda.get_rng_state()
        torch.save(rng, partial / f"rng-{self.world.rank}.pt")
        if type(engine).__name__ == "DeepSpeedEngine":
            engine.save_checkpoint(str(partial), tag="zero", exclude_frozen_parameters=True)
        elif self.world.first:
            trained = {n: p.detach() for n, p in unwrapped(engine).named_parameters() if p.requires_grad}
            torch.save({"weights": trained, "optimizer": optimizer.state_dict()}, partial / "state.pt")
        barrier()
        if self.world.first:
            (partial / "progress.json").write_text(
                json.dumps(asdict(progress) | {"world": self.world.size, "zero": zero_of(engine)})
            )
            shutil.rmtree(last, ignore_errors=True)
            os.replace(partial, last)
            for old in self.found()[: -self.keep]:
                shutil.rmtree(old, ignore_errors=True)
        barrier()

    def resume(self, engine: Any, optimizer: Any) -> Progress:
        """Load the last one, if there is one; return where it was.

        Raises:
            ConfigError: if it was left by another number of processes under DeepSpeed, or cannot be read.
        """
        for partial in self.folder.glob("*.partial") if self.world.first else ():
            shutil.rmtree(partial, ignore_errors=True)
        barrier()
        found = self.found()
        if not found:
            return Progress()
        last = found[-1]
        tree = json.loads((last / "progress.json").read_text())
        size, zero = tree.pop("world"), tree.pop("zero")
        if (zero or zero_of(engine)) and (size, zero) != (self.world.size, zero_of(engine)):
            raise ConfigError(
                f"{last} was left by {size} process(es) at ZeRO stage {zero}, and {self.world.size} at stage "
                f"{zero_of(engine)} run: launch as before, or choose another out="
            )
        if type(engine).__name__ == "DeepSpeedEngine":
            path, _ = engine.load_checkpoint(str(last), tag="zero", load_module_strict=False)
            if path is None:
                raise ConfigError(f"{last} cannot be read by DeepSpeed; remove it to go on from the one before")
        else:
            state = torch.load(last / "state.pt", map_location="cpu", weights_only=True)
            own = dict(unwrapped(engine).named_parameters())
            if set(state["weights"]) != {n for n, p in own.items() if p.requires_grad}:
                raise ConfigError(f"{last} holds other trained parts than this recipe; choose another out=")
            with torch.no_grad():
                for name, value in state["weights"].items():
                    own[name].copy_(value)
            optimizer.load_state_dict(state["optimizer"])
        file = last / f"rng-{self.world.rank}.pt"
        if file.exists():
            rng = torch.load(file, map_location="cpu", weights_only=True)
            torch.set_rng_state(rng["torch"])
            if "cuda" in rng and torch.cuda.is_available():
                torch.cuda.set_rng_state(rng["cuda"])
        return Progress(**tree)


def zero_of(engine: Any) -> int:
    """Return the ZeRO stage of a prepared model, 0 without DeepSpeed."""
    return int(engine.zero_optimization_stage()) if type(engine).__name__ == "DeepSpeedEngine" else 0


def unwrapped(engine: Any) -> Any:
    """Return the module inside an engine or a DDP wrapper."""
    return engine.module if type(engine).__name__ in ("DeepSpeedEngine", "DistributedDataParallel") else engine
