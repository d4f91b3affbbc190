"""Recipes of LLaVA runs: all load, say how they are launched, tell all faults at once, and can be tried dry."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cadcoder.errors import ConfigError
from train.finetune import main
from train.llava.recipe import CONFIGS, is_llava, load
from train.tree import read_yaml

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(p.stem for p in CONFIGS.glob("*.yaml") if is_llava(read_yaml(p)))


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_the_recipes_are_there():
    bases = (
        "cad-coder-13b",
        "cad-coder-qwen2.5-14b",
        "cad-coder-qwen2.5-14b-lowlr",
        "qwen2.5-coder-1.5b",
        "smollm2-135m",
    )
    assert set(NAMES) == {f"{b}{form}" for b in bases for form in ("", "-lora", "-qlora")} | {"finetune-default"}


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_loads_and_opens_with_its_commands(name):
    recipe = load(name)
    lines = (CONFIGS / f"{name}.yaml").read_text().splitlines()
    assert recipe.name == name and recipe.out == f"runs/{name}"
    stages = ["finetune"] if recipe.start else ["pretrain", "finetune"]
    for line, stage in zip(lines, stages, strict=False):
        assert line.startswith("# accelerate launch ") and f"-m train.{stage} --config {name}" in line
        config = line.partition("--config_file ")[2].split(" ")[0]
        assert not config or Path(config).is_file()
    assert (recipe.lora is not None) == name.endswith("lora")
    assert recipe.lora is None or recipe.lora.bits == (4 if name.endswith("qlora") else 16)


def test_the_paper_is_in_its_recipe():
    recipe = load("cad-coder-13b")
    one, two = recipe.stage1, recipe.stage2
    assert (one.epochs, one.lr, one.batch, one.train) == (1, 1e-3, 256, ["projector"])
    assert (two.epochs, two.lr, two.batch, two.train) == (1, 2e-5, 128, ["projector", "text"])
    assert (two.data.max_tokens, two.schedule, two.warmup, recipe.precision) == (4096, "cosine", 0.03, "bf16")
    assert recipe.vision.layer == -2 and not two.data.crop
    assert load("cad-coder-qwen2.5-14b-lowlr").stage2.lr == 1e-5
    assert load("cad-coder-qwen2.5-14b").text.config["num_hidden_layers"] == 48


def test_all_faults_are_told_at_once(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("base: smollm2-135m\nnme: x\nstage2: {batch: 2.5}\nlora: 7\n")
    with pytest.raises(ConfigError) as told:
        load(str(path), ["stage1.lr=fast", "nonsense", "report=[1]"])
    for part in ("nme", "stage2.batch", "lora", "stage1.lr", "nonsense", "report"):
        assert part in str(told.value)
    with pytest.raises(ConfigError) as told:
        load("smollm2-135m", ["stage2.micro=5", "stage2.train=[head]", "precision=fp8", "text.template=x",
                              "stage1.warmup=1", "stage2.data.augment={photo: {rain: 1}}", "report=[mlflow]",
                              "distributed.zero=5", "lora={bits: 8}", "vision.layer=0"])  # fmt: skip
    for part in ("stage2.batch", "stage2.train", "precision", "text.template", "stage1.warmup", "rain", "mlflow",
                 "distributed.zero", "lora.bits", "vision.layer"):  # fmt: skip
        assert part in str(told.value)
    assert "\n" not in str(told.value) and "11 fault(s)" in str(told.value)


def test_the_command_ends_with_one_line(capsys):
    for argv in (["--config", "none"], ["--config", "default"], ["--config", "smollm2-135m", "x"]):
        assert main("stage2", "train.finetune", argv) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 3 and all(line.startswith("error: ") for line in lines)
    assert "cad-coder-13b" in lines[0] and "train.run" in lines[1]


def test_a_dry_run_needs_no_weights(capsys):
    assert main("stage2", "train.finetune", ["--config", "cad-coder-13b", "--dry-run", "--gpus", "4"]) == 0
    text = capsys.readouterr().out
    # Vicuna-13B has 13,015,864,320 parameters, CLIP-L's tower 303,507,456, LLaVA 1.5's projector 31,467,520.
    for part in ("12,852,024,320", "163,840,000", "303,507,456", "31,467,520", "13,350,839,296", "13,047,331,840"):
        assert part in text
    assert "128 samples = 4 GPU(s) x 8 at a time x 4 accumulated" in text and "1,146 steps" in text
    assert "text: lmsys/vicuna-13b-v1.5 is no folder here" in text and "projector of stage 1" in text


def test_the_memory_of_a_stage_is_counted_by_what_is_trained(capsys):
    """Stage 1 of 13 B fits a 40 GB card; stage 2 in 16 bits fits none, with 4-bit adapters a 24 GB card."""
    from train.llava.backbones import plan
    from train.llava.dry import GIB, count, deepspeed_says, states

    full = load("cad-coder-13b")
    config = plan(full).config
    one, two = count(full, "stage1", config), count(full, "stage2", config)
    assert states(one, 0, False, 1) / GIB == pytest.approx((2 * 13.319e9 + 16 * 31.5e6) / GIB, rel=1e-3)
    assert states(two, 0, False, 1) / GIB == pytest.approx((2 * 303.5e6 + 16 * 13.047e9) / GIB, rel=1e-3)
    assert states(two, 3, False, 4) < 80e9 < states(two, 0, False, 4)
    small = load("cad-coder-13b-qlora")
    four = count(small, "stage2", plan(small).config)
    assert four.parts["adapters"] == (250_347_520, 250_347_520) and states(four, 0, False, 1) < 13 * GIB
    says = deepspeed_says(two, 2, False, 4)
    assert says is None or says == pytest.approx(states(two, 2, False, 4), rel=0.35)


def test_the_launchers_command_line_is_read():
    from train.llava.distribution import asked
    from train.llava.recipe import Distributed

    found = asked(Distributed(), ["--config_file", "train/configs/accelerate/zero3.yaml", "-m", "train.finetune"])
    assert (found.processes, found.zero, found.offload, found.precision) == (4, 3, False, "bf16")
    found = asked(
        Distributed(), ["--config_file", "train/configs/accelerate/zero2_offload.yaml", "--num_processes", "8", "x"]
    )
    assert (found.processes, found.zero, found.offload) == (8, 2, True)
    found = asked(Distributed(zero=3), ["--cpu", "--num_processes", "2", "-m", "train.finetune"])
    assert (found.processes, found.zero) == (2, 3)
    assert asked(Distributed(), ["--multi_gpu", "--num_processes", "2", "x"]).zero == 0


def test_the_accelerate_configurations_are_what_their_names_say():
    found = {p.stem: yaml.safe_load(p.read_text()) for p in (CONFIGS / "accelerate").glob("*.yaml")}
    zero = {n: (c.get("deepspeed_config") or {}).get("zero_stage") for n, c in found.items()}
    assert zero == {"one_gpu": None, "ddp": None, "nodes_ddp": None, "zero2": 2, "zero2_offload": 2, "zero3": 3,
                    "zero3_offload": 3, "nodes_zero3": 3}  # fmt: skip
    assert {n for n, c in found.items() if c["num_machines"] > 1} == {"nodes_ddp", "nodes_zero3"}


def test_a_reward_that_is_not_there_is_named():
    from train.reward import load_reward

    with pytest.raises(ConfigError, match="no_such_module:Reward cannot be loaded"):
        load_reward("no_such_module:Reward")
