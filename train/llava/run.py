"""One stage of a LLaVA run, on one process or many: load, prepare, check what is in force, train, save."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml

from cadcoder.errors import CadCoderError, ConfigError
from train.llava import distribution, measure
from train.llava.distribution import World
from train.llava.encode import Collate, Encoder, Look, Reader, lengths
from train.llava.flops import Cost, cost, peak
from train.llava.loss import Answers, answer_tokens, choose_trained
from train.llava.order import Order, Split, Steps, split
from train.llava.recipe import LlavaRecipe, Stage, as_tree
from train.llava.samples import Samples
from train.llava.state import Checkpoints, Progress, barrier, unwrapped, zero_of
from train.llava.weights import PROJECTOR, load_projector, save_model, save_projector
from train.loop import TrainingFailed, say
from train.reward import load_reward


class StageRun:
    """A stage, from its start or from its last checkpoint."""

    def __init__(self, recipe: LlavaRecipe, name: str) -> None:
        """Load the model and the samples, and put in force what was asked for.

        Args:
            recipe: the whole recipe.
            name: ``stage1`` or ``stage2``.

        Raises:
            ConfigError: if something is missing, does not fit, or is not in force.
        """
        from train.run import read_prompt

        self.recipe, self.name = recipe, name
        self.stage: Stage = recipe.stage(name)
        self.folder = Path(recipe.out) / name
        self.wanted = distribution.asked(recipe.distributed)
        self.accelerator, self.world = distribution.start(self.wanted, recipe.precision)
        self.device: torch.device = self.accelerator.device
        self.deep = str(self.accelerator.distributed_type).endswith("DEEPSPEED")
        self.prompt = read_prompt(recipe.prompt)
        self._check_batch()
        torch.manual_seed(recipe.seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.model, self.processor, self.trained = self._model()
        self._data()
        self._prepare()

    def _check_batch(self) -> None:
        stage, size = self.stage, self.world.size
        if stage.batch % (stage.micro * size):
            raise ConfigError(
                f"{self.name}.batch: {stage.batch} is no multiple of {self.name}.micro ({stage.micro}) times "
                f"{size} process(es); set {self.name}.micro"
            )
        self.accumulation = stage.batch // (stage.micro * size)

    def _model(self) -> tuple[Any, Any, list[str]]:
        """Return (LLaVA, processor, trained parts), the projector of stage 1 in place in stage 2."""
        from train.llava.adapters import add_adapters
        from train.llava.backbones import build

        recipe, stage = self.recipe, self.stage
        low = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
        if recipe.lora is not None and recipe.lora.bits == 4 and self.wanted.zero == 3:
            raise ConfigError("lora.bits: 4 bits cannot be partitioned by ZeRO stage 3; launch with stage 2 or less")
        model, processor = build(recipe, low)
        if self.name == "stage2" and recipe.start is None:
            before = Path(recipe.projector or Path(recipe.out) / "stage1" / PROJECTOR)
            if not before.exists():
                raise ConfigError(
                    f"stage 2 starts from the projector of stage 1, and {before} is not there; first: "
                    f"accelerate launch -m train.pretrain --config {recipe.name} (or projector=FILE of another run)"
                )
            load_projector(model, before)
        adapters = recipe.lora is not None and self.name == "stage2"
        if adapters:
            assert recipe.lora is not None
            add_adapters(model, recipe.lora)
        choose_trained(model, stage.train, adapters)
        # What is trained is kept in fp32, with bf16 products; DeepSpeed keeps its own fp32 copy of bf16 weights.
        if not self.deep:
            for p in model.parameters():
                if p.requires_grad:
                    p.data = p.data.float()
        if stage.checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        return model, processor, stage.train

    def _data(self) -> None:
        data = self.stage.data
        config = self.model.config
        self.samples = Samples(data, f"{self.name}.data")
        self.encoder = Encoder(self.processor, self.prompt, int(config.image_seq_length))
        if self.encoder.image_id != int(config.image_token_index):
            raise ConfigError("the tokenizer's image token is not the one of the model's config")
        if self.recipe.eval_scripts and self.samples.is_json and self.name == "stage2":
            raise ConfigError("eval_scripts: a LLaVA JSON holds no scripts to compare with; set eval_scripts=0")
        cache = Path(self.recipe.out) / "cache"
        if self.world.first:
            lengths(self.samples, self.encoder, cache)
        barrier()
        self.lengths = lengths(self.samples, self.encoder, cache)
        limit = min(data.max_tokens, int(config.text_config.max_position_embeddings))
        self.split: Split = split(self.lengths, limit, data.held_out)
        if not len(self.split.train):
            raise ConfigError(
                f"{self.name}.data.max_tokens: all {len(self.lengths)} samples have more than {limit} tokens "
                f"({config.image_seq_length} of them the picture's)"
            )
        self.order = Order(self.split.train, self.lengths, self.stage.batch, self.recipe.seed)
        self.steps = self.stage.steps or max(1, round(self.stage.epochs * self.order.steps_a_pass))
        look = Look.of(self.processor, data)
        self.reader = Reader(self.samples, self.encoder, look, self.recipe.seed)
        self.collate = Collate(int(self.encoder.tokenizer.pad_token_id))

    def _prepare(self) -> None:
        stage = self.stage
        wrapper = Answers(self.model)
        self.optimizer: Any = torch.optim.AdamW(self._groups(wrapper), lr=stage.lr, betas=(0.9, 0.999), eps=1e-8)
        if self.deep:
            plugin = self.accelerator.state.deepspeed_plugin
            config = plugin.deepspeed_config
            config["train_micro_batch_size_per_gpu"] = stage.micro
            config["gradient_accumulation_steps"] = self.accumulation
            config["train_batch_size"] = stage.batch
            config["gradient_clipping"] = stage.clip
            self.accelerator.gradient_accumulation_steps = self.accumulation
        self.engine: Any
        self.engine, self.optimizer = self.accelerator.prepare(wrapper, self.optimizer)
        self.rates = [float(g["lr"]) for g in self.optimizer.param_groups]
        self.facts = distribution.check(self.wanted, self.world, self.engine)
        self.facts["accumulation"] = self.accumulation
        self.first_samples: list[list[int]] = []
        self._reward: Any = None

    def _groups(self, wrapper: Any) -> list[dict[str, Any]]:
        """Return the trained parameters, matrices with weight decay, the projector at its own rate."""
        stage = self.stage
        groups: dict[tuple[float, float], list[Any]] = {}
        for name, p in wrapper.named_parameters():
            if not p.requires_grad:
                continue
            own = stage.projector_lr is not None and "multi_modal_projector" in name
            rate = float(stage.projector_lr or stage.lr) if own else stage.lr
            groups.setdefault((rate, stage.weight_decay if p.ndim > 1 else 0.0), []).append(p)
        return [{"params": ps, "lr": rate, "weight_decay": decay} for (rate, decay), ps in groups.items()]

    def factor(self, step: int) -> float:
        """Return the learning rate of a step as a share of the peak."""
        rise = math.ceil(self.stage.warmup * self.steps)
        if step < rise:
            return (step + 1) / rise
        if self.stage.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, self.steps - rise)))

    def run(self) -> Progress:
        """Train to the end of the stage.

        Raises:
            TrainingFailed: if the loss is no number, or memory runs out; the text says what to change.
        """
        try:
            return self._run()
        except torch.OutOfMemoryError as error:
            raise TrainingFailed(self._out_of_memory(str(error))) from None
        except RuntimeError as error:
            if "can't allocate memory" in str(error) or "out of memory" in str(error).lower():
                raise TrainingFailed(self._out_of_memory(str(error))) from None
            raise

    def _out_of_memory(self, text: str) -> str:
        stage, zero = self.stage, zero_of(self.engine)
        more = [f"{self.name}.micro={max(1, stage.micro // 2)}"] if stage.micro > 1 else []
        if not stage.checkpointing:
            more.append(f"{self.name}.checkpointing=true")
        if zero < 3:
            more.append(f"ZeRO stage {zero + 1 if zero else 2}")
        elif not self.facts.get("offload"):
            more.append("ZeRO stage 3 with offload")
        if self.recipe.lora is None:
            more.append("the LoRA form of the recipe")
        return f"{self.name} is out of memory ({' '.join(text.split())[:90]}): try {', or '.join(more)}"

    def _run(self) -> Progress:
        from train.llava.watch import Watch

        recipe, stage = self.recipe, self.stage
        checkpoints = Checkpoints(self.folder / "checkpoints", recipe.keep, self.world)
        progress = checkpoints.resume(self.engine, self.optimizer)
        first = progress.step
        config = self.model.config
        lora = sum(p.numel() for n, p in self.model.named_parameters() if "lora_" in n)
        price: Cost = cost(config, self.trained, lora)
        watch = Watch(self, progress, price, peak(self.device))
        watch.begin()
        loader: Any = torch.utils.data.DataLoader(
            self.reader,
            batch_sampler=Steps(self.order, stage.micro, self.world.rank, self.world.size, first, self.steps),
            collate_fn=self.collate,
            num_workers=recipe.workers,
            multiprocessing_context="spawn" if recipe.workers else None,
            persistent_workers=recipe.workers > 0,
            pin_memory=self.device.type == "cuda",
        )
        batches = iter(loader)
        self.engine.train()
        try:
            if not progress.step:
                self._evaluate(progress, watch)
            while progress.step < self.steps:
                group = [next(batches) for _ in range(self.accumulation)]
                if progress.step == first:
                    repeats = len(self.split.train) < stage.batch
                    drawn = distribution.check_disjoint([i for b in group for i in b["index"]], repeats)
                    self.first_samples = drawn
                loss, norm = self._step(group, progress)
                watch.step(group, loss, norm)
                if progress.step % recipe.eval_steps == 0 or progress.step == self.steps:
                    self._evaluate(progress, watch)
                if progress.step % recipe.save_steps == 0 or progress.step == self.steps:
                    checkpoints.save(progress, self.engine, self.optimizer)
        finally:
            watch.end()
            if self._reward is not None:
                self._reward.close()
            del batches, loader
        self._finish(progress)
        return progress

    def _step(self, group: list[dict[str, Any]], progress: Progress) -> tuple[float, float]:
        """Take one optimiser step; return (mean loss a token over all ranks, gradient norm)."""
        answers = float(sum(answer_tokens(b["labels"]) for b in group))
        (answers,) = measure.summed([answers], self.device)
        # Engines average over ranks and divide by the accumulation: multiplied back, the sum over the global batch
        # divided by its tokens is left, however it is shared out.
        weight = self.world.size * self.accumulation / max(1.0, answers)
        # Asked for anew: loading a state puts other groups in their place.
        for rate, param_group in zip(self.rates, self.optimizer.param_groups, strict=True):
            param_group["lr"] = rate * self.factor(progress.step)
        total = 0.0
        for at, batch in enumerate(group):
            last = at == len(group) - 1
            pixels = batch["pixel_values"]
            quiet = self.world.size > 1 and not self.deep and not last
            with self.engine.no_sync() if quiet else contextlib.nullcontext():
                loss = self.engine(
                    batch["input_ids"].to(self.device, non_blocking=True),
                    batch["labels"].to(self.device, non_blocking=True),
                    None if pixels is None else pixels.to(self.device, non_blocking=True),
                )
                total += float(loss.detach())
                if self.deep:
                    self._check_number(total, progress)
                    self.accelerator.deepspeed_engine_wrapped.backward(loss * weight, sync_gradients=last)
                else:
                    (loss * (weight / self.accumulation)).backward()
        (total,) = measure.summed([total], self.device)
        value = total / max(1.0, answers)
        if self.deep:
            norm = float(self.engine.get_global_grad_norm() or 0.0)
        else:
            trained = [p for p in self.engine.parameters() if p.requires_grad]
            norm = float(torch.nn.utils.clip_grad_norm_(trained, self.stage.clip))
            self._check_number(value + norm, progress)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        self._check_number(value + norm, progress)
        progress.step += 1
        progress.samples += self.stage.batch
        return value, norm

    def _check_number(self, value: float, progress: Progress) -> None:
        if not math.isfinite(value):
            raise TrainingFailed(
                f"{self.name} diverged at step {progress.step}: the loss is {value}; lower {self.name}.lr (now "
                f"{self.stage.lr:g}) or {self.name}.clip, and give the same command to go on from the last checkpoint"
            )

    def _evaluate(self, progress: Progress, watch: Any) -> None:
        """Measure, and keep the weights where the held-out loss is the lowest so far."""
        row: dict[str, float] = {"step": progress.step}
        held, stage = self.split.held, self.stage
        if not len(held):
            return
        row["held_out_loss"] = measure.held_out_loss(
            self.engine, self.reader, self.collate, held, stage.micro, self.world, self.device
        )
        if self.recipe.eval_scripts and self.name == "stage2":
            llava = unwrapped(self.engine).llava
            deep = zero_of(self.engine) == 3
            with self.accelerator.autocast():
                row |= measure.scripts(
                    llava,
                    self.reader,
                    held,
                    self.recipe.eval_scripts,
                    self.recipe.eval_tokens,
                    self.world,
                    self.device,
                    self._judge(),
                    deep,
                )
            self.engine.train()
        # What is there before the first step is no result of the run.
        better = progress.step > 0 and row["held_out_loss"] < progress.best
        if better:
            progress.best, progress.best_step = row["held_out_loss"], progress.step
            self._save("best")
        progress.history.append(row)
        watch.evaluated(row, better)

    def _judge(self) -> Any:
        """Return the reward, whose executor starts with the first evaluation and ends with the run."""
        if self._reward is None:
            self._reward = load_reward(workers=1)
        return self._reward

    def _save(self, name: str) -> None:
        first = self.world.first
        if self.name == "stage1":
            save_projector(self.engine, self.folder / name, first)
        else:
            save_model(self.engine, self.recipe, self.processor, self.folder / name, first)
        barrier()

    def _finish(self, progress: Progress) -> None:
        """Leave the last weights beside the best, and say what the stage was."""
        from train.llava.card import write_cards

        self._save("last")
        if not self.world.first:
            return
        chosen = self.folder / ("best" if (self.folder / "best").exists() else "last")
        done = asdict(progress) | {
            "stage": self.name,
            "dropped": self.split.dropped,
            "train": len(self.split.train),
            "held_out": len(self.split.held),
            "steps": self.steps,
            "asked": asdict(self.wanted),
            "force": self.facts,
            "first_samples": self.first_samples,
            "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU",
        }
        if self.name == "stage1":
            partial = self.folder / f"{PROJECTOR}.partial"
            partial.write_bytes((chosen / PROJECTOR).read_bytes())
            os.replace(partial, self.folder / PROJECTOR)
        (self.folder / "recipe.yaml").write_text(yaml.safe_dump(as_tree(self.recipe), sort_keys=False))
        partial = self.folder / "done.json.partial"
        partial.write_text(json.dumps(done, indent=2) + "\n")
        os.replace(partial, self.folder / "done.json")
        if self.name == "stage2":
            for name in ("best", "last"):
                if (self.folder / name).exists():
                    write_cards(self.recipe, self.prompt, self.folder / name, self.processor, self.model.config)
        say(f"{self.name}: done, {chosen} holds the best weights (held-out loss {progress.best:.4f})")


def run_stage(recipe: LlavaRecipe, name: str) -> int:
    """Run a stage; return the exit code. What a person can mend is one line on stderr."""
    rank = int(os.environ.get("RANK", "0"))
    try:
        begin = time.monotonic()
        StageRun(recipe, name).run()
        if rank == 0:
            say(f"{name}: {(time.monotonic() - begin) / 60:.1f} minutes in all")
        code = 0
    except ConfigError as error:
        if rank == 0:  # the same on every rank
            say(f"error: {error}")
        code = error.exit_code
    except CadCoderError as error:
        say(f"error: {error}")
        code = error.exit_code
    except KeyboardInterrupt:
        say("stopped; the same command goes on from the last checkpoint")
        code = 130
    _leave()
    return code


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized() and sys.exc_info()[0] is None:
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()


__all__ = ["StageRun", "World", "run_stage"]
