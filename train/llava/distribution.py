"""What was asked of the launcher, and whether it is in force: if not, that is an error and no warning.

Measured with accelerate 1.15 and DeepSpeed 0.19: ``accelerate launch --cpu --num_processes 2`` runs one process;
``use_cpu`` drops DeepSpeed; on CPUs under DeepSpeed ``Accelerator.num_processes`` says 1 on every rank, and its data
loaders then give all ranks the same samples. So samples are shared out by ``torch.distributed``'s rank here, and
:func:`check` compares what runs with the launcher's own command line.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from cadcoder.errors import ConfigError, MissingDependency
from train.llava.recipe import Distributed


@dataclass
class Asked:
    """What was asked for; None where nothing was said."""

    processes: int | None = None
    zero: int | None = None
    offload: bool | None = None
    precision: str | None = None
    sources: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class World:
    """This process among all."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0


def launcher() -> list[str] | None:
    """Return the arguments of the ``accelerate launch`` that this process is a child of; None without one."""
    import psutil

    try:
        for process in psutil.Process().parents():
            line = process.cmdline()
            for i, word in enumerate(line):
                if word == "launch" and i and os.path.basename(line[i - 1]).startswith("accelerate"):
                    return line[i + 1 :]
                if word in ("accelerate.commands.launch",) or os.path.basename(word) == "accelerate-launch":
                    return line[i + 1 :]
    except psutil.Error:
        return None
    return None


def asked(wanted: Distributed, line: list[str] | None = None) -> Asked:
    """Return what the recipe and the launcher's command line ask for; the recipe wins."""
    found = Asked()
    line = launcher() if line is None else line
    if line is not None:
        _read_launcher(line, found)
    for key in ("processes", "zero", "offload"):
        value = getattr(wanted, key)
        if value is not None:
            setattr(found, key, value)
            found.sources.append(f"distributed.{key}={value}")
    return found


def _read_launcher(line: list[str], found: Asked) -> None:
    """Read a launcher's arguments and configuration file with accelerate's own parser."""
    from accelerate.commands.config.config_args import default_config_file, load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    try:
        args = launch_command_parser().parse_args(line)
    except SystemExit:
        return
    found.sources.append("accelerate launch")
    saved: Any = None
    if args.config_file is not None or (os.path.isfile(default_config_file) and not args.cpu):
        saved = load_config_from_file(args.config_file)
    deep = dict(getattr(saved, "deepspeed_config", None) or {})
    uses = bool(args.use_deepspeed) or (saved is not None and str(saved.distributed_type).endswith("DEEPSPEED"))
    found.processes = args.num_processes or getattr(saved, "num_processes", None)
    found.precision = args.mixed_precision or getattr(saved, "mixed_precision", None)
    found.zero = 0
    if uses:
        file = args.deepspeed_config_file or deep.get("deepspeed_config_file")
        if file:
            import json
            from pathlib import Path

            zero = json.loads(Path(file).read_text()).get("zero_optimization", {})
            found.zero = int(zero.get("stage", 0))
            found.offload = zero.get("offload_optimizer", {}).get("device", "none") != "none"
        else:
            found.zero = int(args.zero_stage or deep.get("zero_stage") or 2)
            device = args.offload_optimizer_device or deep.get("offload_optimizer_device") or "none"
            found.offload = device != "none"


def start(wanted: Asked, precision: str) -> tuple[Any, World]:
    """Return (Accelerator, this process's place), with what was asked of the processes in force.

    Raises:
        ConfigError: if another number of processes runs, or DeepSpeed is not what was asked for.
        MissingDependency: without accelerate or the DeepSpeed that was asked for.
    """
    import importlib.util

    import torch

    if importlib.util.find_spec("accelerate") is None:
        raise MissingDependency("training needs accelerate: pip install 'cadcoder[train]'")
    deep = os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"
    if (deep or wanted.zero) and importlib.util.find_spec("deepspeed") is None:
        raise MissingDependency("DeepSpeed was asked for and is not installed: pip install 'cadcoder[deepspeed]'")
    from accelerate import Accelerator
    from accelerate.state import PartialState

    on_cpu = not torch.cuda.is_available()
    if on_cpu and deep:
        _without_compiler()
    mixed = {"fp32": "no"}.get(precision, precision)
    accelerator = Accelerator(cpu=True if on_cpu and not deep else None, mixed_precision=mixed)
    if deep:
        # At stage 3 transformers would split every model that is built from now on, the one that only rank 0 writes
        # files with too; here the engine splits the one that is trained, a parameter at a time.
        from transformers.integrations.deepspeed import unset_hf_deepspeed_config

        unset_hf_deepspeed_config()
    world = place()
    # Under DeepSpeed on CPUs accelerate takes every rank for the only one; its batch arithmetic needs the truth.
    for state in (PartialState(), accelerator.state):
        state.num_processes, state.process_index, state.local_process_index = world.size, world.rank, world.local
    said = " and ".join(wanted.sources) or "the launcher"
    if wanted.processes is not None and wanted.processes != world.size:
        raise ConfigError(
            f"{said} asked for {wanted.processes} processes and {world.size} run(s); "
            "on CPUs --cpu starts one: see the launch commands in docs/training.md"
        )
    running = str(accelerator.distributed_type).endswith("DEEPSPEED")
    if bool(wanted.zero) != running and wanted.zero is not None:
        has = "is" if running else "is not"
        raise ConfigError(f"{said} asked for ZeRO stage {wanted.zero} and DeepSpeed {has} in force")
    if wanted.precision not in (None, mixed):
        raise ConfigError(
            f"{said} asked for mixed precision {wanted.precision}, the recipe for "
            f"precision={precision}: give the launcher --mixed_precision {mixed}"
        )
    return accelerator, world


def _without_compiler() -> None:
    """Let DeepSpeed talk through gloo on CPUs.

    The shared-memory kernel that it would compile needs g++ and takes a minute; interrupted, it leaves a lock behind
    that later runs wait for without end.
    """
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    import deepspeed

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def place() -> World:
    """Return this process's place, from ``torch.distributed``."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return World()
    return World(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", 0)))


def check(wanted: Asked, world: World, engine: Any) -> dict[str, Any]:
    """Return what is in force around a prepared model.

    Raises:
        ConfigError: if it is not what was asked for.
    """
    name = type(engine).__name__
    facts: dict[str, Any] = {"engine": name, "world": world.size, "zero": 0}
    if name == "DeepSpeedEngine":
        facts["zero"] = int(engine.zero_optimization_stage())
        facts["offload"] = bool(engine.zero_cpu_offload())
        facts["precision"] = "bf16" if engine.bfloat16_enabled() else "fp32"
        params = list(engine.module.parameters())
        split = [p for p in params if getattr(p, "ds_tensor", None) is not None and p.ds_tensor.numel() < p.ds_numel]
        facts["partitioned"] = len(split) / max(1, len(params))
        facts["micro"] = int(engine.train_micro_batch_size_per_gpu())
        facts["accumulation"] = int(engine.gradient_accumulation_steps())
    faults = []
    if wanted.zero is not None and wanted.zero != facts["zero"]:
        faults.append(f"ZeRO stage {wanted.zero} was asked for and {facts['zero']} is in force ({name})")
    if wanted.offload is not None and wanted.offload != facts.get("offload", False):
        faults.append(f"offload {wanted.offload} was asked for and {facts.get('offload', False)} is in force")
    if facts["zero"] == 3 and world.size > 1 and not facts["partitioned"]:
        faults.append("ZeRO stage 3 is on and no parameter is partitioned")
    if world.size > 1 and name not in ("DeepSpeedEngine", "DistributedDataParallel"):
        faults.append(f"{world.size} processes run and the model is a plain {name}: gradients would not be shared")
    if faults:
        raise ConfigError("; ".join(faults))
    return facts


def check_disjoint(index: list[int], repeats: bool) -> list[list[int]]:
    """Compare the samples of a step over all ranks, once; return them, rank by rank.

    Args:
        index: this rank's samples.
        repeats: whether the set is smaller than a batch, so that samples must repeat.

    Raises:
        ConfigError: if two ranks have the same samples.
    """
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return [index]
    every: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(every, index)
    flat = [i for part in every for i in part]
    if len(set(flat)) != len(flat) and not repeats:
        raise ConfigError("two processes drew the same samples: the launcher's ranks are not in force")
    return every
