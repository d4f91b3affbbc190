"""The loss of a run of two processes that is killed and resumed, against the unbroken run's: figures and a plot.

``python -m benchmarks.training_resume --data SHARDS [--steps 16] [--kill 6] [--zero 2] [--plot FILE.png]``

Two CPU processes under DeepSpeed train the default model further. The second run is killed with SIGKILL, launcher and
workers, once it has passed ``--kill`` steps, and started again by the same command.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]


def start(out: Path, data: str, steps: int, zero: int) -> subprocess.Popen[bytes]:
    """Launch the run that has ``out`` as its folder."""
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--use_deepspeed"]
    command += ["--zero_stage", str(zero), "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    command += ["--dynamo_backend", "no", "-m", "train.finetune", "--config", "finetune-default", f"out={out}"]
    command += [f"stage2.data.path={data}", f"stage2.steps={steps}", "stage2.batch=8", "stage2.micro=2"]
    command += [
        "stage2.data.held_out=4",
        "eval_scripts=0",
        "eval_steps=1000",
        "save_steps=4",
        "log_steps=1",
        "workers=0",
    ]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
    return subprocess.Popen(command, cwd=ROOT, env=env)


def rows(out: Path) -> list[dict[str, float]]:
    """Return the rows that a run has written so far."""
    file = out / "stage2" / "metrics.jsonl"
    return [json.loads(r) for r in file.read_text().splitlines() if r.endswith("}")] if file.exists() else []


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the launcher and its workers at once."""
    family = psutil.Process(process.pid)
    for one in [*family.children(recursive=True), family]:
        one.send_signal(signal.SIGKILL)
    process.wait()


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="A killed and resumed run against an unbroken one.")
    parser.add_argument("--data", required=True)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--kill", type=int, default=6, help="steps after which the second run is killed")
    parser.add_argument("--zero", type=int, default=2, choices=(2, 3))
    parser.add_argument("--plot", type=Path, default=None)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole, broken = Path(folder) / "whole", Path(folder) / "broken"
        if start(whole, args.data, args.steps, args.zero).wait():
            raise SystemExit("the unbroken run failed")
        process = start(broken, args.data, args.steps, args.zero)
        while len(rows(broken)) < args.kill:
            if process.poll() is not None:
                raise SystemExit("the second run ended before it was killed")
            time.sleep(0.02)
        kill(process)
        before = rows(broken)
        if start(broken, args.data, args.steps, args.zero).wait():
            raise SystemExit("the resumed run failed")
        one, two = rows(whole), rows(broken)
    worst = max(abs(a["loss"] - b["loss"]) for a, b in zip(one, two, strict=True))
    redone = sum(1 for r in before if r["step"] > 4 * (int(before[-1]["step"]) // 4))
    print(f"{len(one)} steps; killed after {len(before)}, of which {redone} were taken again")
    print(f"largest difference of the losses: {worst:.2e}")
    if args.plot:
        plot(one, before, two, args.plot)


def plot(one: list[dict[str, float]], before: list[dict[str, float]], two: list[dict[str, float]], path: Path) -> None:
    """Draw the three curves."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    axes.plot([r["step"] for r in one], [r["loss"] for r in one], color="#888", lw=5, label="unbroken")
    axes.plot([r["step"] for r in two], [r["loss"] for r in two], color="#06c", lw=1.5, label="killed and resumed")
    axes.plot([r["step"] for r in before], [r["loss"] for r in before], "x", color="#c30", label="before SIGKILL")
    axes.set_xlabel("optimiser step")
    axes.set_ylabel("loss a token")
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
