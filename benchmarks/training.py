"""Training speed on one device: our loop against a plain transformers Trainer on the same work, in one run.

``python -m benchmarks.training [--model smollm2|default|FOLDER] [--tokens 1024] [--batch 16] [--steps 20]``

The model is built from sizes with random weights (speed does not depend on what they are), the samples are random ids
of one length with one picture each. Both loops train projector and language model, in bf16 on a GPU and fp32 on a CPU,
with the same attention and batch. Prints tokens a second and MFU of both, and their ratio. Needs no downloads. With
``--ranks 2`` the throughput of two CPU processes against one is measured instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def build(name: str, attention: str) -> Any:
    """Return a LLaVA in fp32 with random weights: of a recipe's sizes, or the default model's."""
    import torch
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    from train.llava.backbones import plan
    from train.llava.recipe import load

    torch.manual_seed(0)
    if name == "smollm2":
        config = plan(load("smollm2-135m")).config
    else:
        config = LlavaConfig.from_pretrained("cadcoder/model/default" if name == "default" else name)
    config._attn_implementation = attention
    return LlavaForConditionalGeneration(config)


class Made:
    """Samples of one length, the second half of each an answer."""

    def __init__(self, config: Any, tokens: int, count: int) -> None:
        self.config, self.tokens, self.count = config, tokens, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        import torch

        rng = torch.Generator().manual_seed(index)
        pictures = int(self.config.image_seq_length)
        ids = torch.randint(10, 1000, (self.tokens,), generator=rng)
        ids[1 : 1 + pictures] = int(self.config.image_token_index)
        labels = ids.clone()
        labels[: max(pictures + 1, self.tokens // 2)] = -100
        side = self.config.vision_config.image_size
        return {"input_ids": ids, "labels": labels, "pixel_values": torch.randn(3, side, side, generator=rng)}


def ours(model: Any, data: Made, batch: int, steps: int, device: Any) -> float:
    """Return the seconds of ``steps`` steps of our loss and loop, after two to warm up."""
    import torch

    from train.llava.loss import Answers, answer_tokens, choose_trained

    choose_trained(model, ["projector", "text"], False)
    wrapper = Answers(model.to(device))
    low = device.type == "cuda"
    for p in wrapper.parameters():
        if not p.requires_grad and low:
            p.data = p.data.bfloat16()
    trained = [p for p in wrapper.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=True)
    loader = torch.utils.data.DataLoader(data, batch_size=batch, num_workers=2 if low else 0, pin_memory=low)  # type: ignore[arg-type]
    begin = 0.0
    for step, rows in enumerate(loader):
        if step == 2:
            _wait(device)
            begin = time.perf_counter()
        if step == steps + 2:
            break
        rows = {k: v.to(device, non_blocking=True) for k, v in rows.items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=low):
            loss = wrapper(rows["input_ids"], rows["labels"], rows["pixel_values"]) / answer_tokens(rows["labels"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    _wait(device)
    return time.perf_counter() - begin


def theirs(model: Any, data: Made, batch: int, steps: int, device: Any) -> float:
    """Return the seconds of the same steps by a plain ``Trainer``."""
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from train.llava.loss import choose_trained

    choose_trained(model, ["projector", "text"], False)
    marks: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Notes the time after every step."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            _wait(device)
            marks.append(time.perf_counter())

    low = device.type == "cuda"
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder, per_device_train_batch_size=batch, max_steps=steps + 2, learning_rate=1e-5, bf16=low,
            report_to="none", save_strategy="no", logging_steps=10_000, dataloader_num_workers=2 if low else 0,
            remove_unused_columns=False, disable_tqdm=True, use_cpu=not low,
        )  # fmt: skip
        trainer = Trainer(model=model, args=args, train_dataset=data, callbacks=[Clock()])  # type: ignore[arg-type]
        trainer.train()
    del trainer
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return marks[-1] - marks[1]


def _wait(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()


def ranks(count: int, data: str, out: Path) -> None:
    """Print tokens a second of one process and of ``count`` under ZeRO-2, a global batch the same."""
    rates = {}
    for n in (1, count):
        folder = out / f"ranks{n}"
        common = [f"out={folder}", f"stage2.data.path={data}", "stage2.steps=8", "stage2.batch=16", "stage2.micro=4",
                  "eval_scripts=0", "eval_steps=1000", "save_steps=1000", "log_steps=1", "workers=0",
                  "stage2.data.held_out=4"]  # fmt: skip
        launch = [sys.executable, "-m", "train.finetune"]
        if n > 1:
            launch = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--use_deepspeed"]
            launch += ["--zero_stage", "2", "--num_processes", str(n), "--num_machines", "1", "--mixed_precision", "no"]
            launch += ["--dynamo_backend", "no", "-m", "train.finetune"]
        env = {**os.environ, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
        subprocess.run([*launch, "--config", "finetune-default", *common], cwd=ROOT, env=env, check=True)
        rows = [json.loads(r) for r in (folder / "stage2" / "metrics.jsonl").read_text().splitlines()]
        speeds = sorted(r["tokens_per_second"] for r in rows[2:])
        rates[n] = speeds[len(speeds) // 2]
    print(f"1 process {rates[1]:,.0f} tokens/s, {count} processes {rates[count]:,.0f}: {rates[count] / rates[1]:.2f} x")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Training speed against a plain Trainer.")
    parser.add_argument("--model", default=None, help="smollm2, default or a LLaVA folder")
    parser.add_argument("--tokens", type=int, default=None, help="of a sample, its picture's included")
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--ranks", type=int, default=None, help="measure so many CPU processes against one")
    parser.add_argument("--data", default="data/synthetic", help="with --ranks: shards")
    args = parser.parse_args()
    if args.ranks:
        with tempfile.TemporaryDirectory() as folder:
            ranks(args.ranks, args.data, Path(folder))
        return
    import torch

    from train.llava.flops import cost, peak

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gpu = device.type == "cuda"
    name = args.model or ("smollm2" if gpu else "default")
    tokens, batch = args.tokens or (1024 if gpu else 256), args.batch or (32 if gpu else 4)
    steps = args.steps or (30 if gpu else 3)
    attention = "sdpa" if gpu else "eager"
    most, source = peak(device)
    seconds = {}
    for title, work in (("plain Trainer", theirs), ("ours", ours)):
        model = build(name, attention)
        data = Made(model.config, tokens, batch * (steps + 3))
        price = cost(model.config, ["projector", "text"])
        seconds[title] = work(model, data, batch, steps, device)
        seen = batch * steps
        answers = tokens - max(int(model.config.image_seq_length) + 1, tokens // 2)
        operations = seen * price.of(tokens, tokens**2, answers, 1)
        rate, mfu = seen * tokens / seconds[title], operations / seconds[title] / most
        print(
            f"{title:<14} {name}, {batch} x {tokens} tokens: {rate:10,.0f} tokens/s, MFU {100 * mfu:5.1f} % of {source}"
        )
        del model
    print(f"ours is {seconds['plain Trainer'] / seconds['ours']:.2f} times as fast")


if __name__ == "__main__":
    main()
