"""The part of the build's command line that says where parts come from and how they are proved."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cadcoder.errors import ConfigError
from cadcoder.program.emit import DIALECTS
from dataset_build.parts import InDialect, Source
from dataset_build.sources import DRAWN, KINDS, Options, find, find_mix
from dataset_build.verify import MODES

#: Other names for kinds of sources.
ALSO = {"deepcad": "deepcad-json"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--source", help=" | ".join(KINDS))
    parser.add_argument("--mix", help="several sources in shares: deepcad-json=0.5,synthetic=0.5")
    parser.add_argument(
        "--input", action="append", default=[], help="folder, .tar, .tar.gz, .tgz, .zip or file; KIND=PATH in a mix"
    )
    parser.add_argument("--count", type=int, help="parts to draw; of a real source, at most so many")
    parser.add_argument("--seed", type=int, default=0, help="of the synthesiser; another seed shares no sample (0)")
    parser.add_argument("--verify", default="fast", help=f"how scripts are proved: {' | '.join(MODES)} (fast)")
    parser.add_argument("--dialect", default="plain", help=f"of the scripts: {' | '.join(DIALECTS)} (plain)")
    parser.add_argument("--no-box-check", action="store_true", help="keep parts whose box is not the one stated")
    parser.add_argument("--keep-pictures", action="store_true", help="scripts, gencad-code: their own pictures")
    parser.add_argument("--step-iou", type=float, default=0.999, help="scripts: least IoU with a STEP beside (0.999)")
    parser.add_argument("--columns", default="", help="gencad-code: code=NAME,image=NAME,id=NAME")
    parser.add_argument("--split", default="train", help="gencad-code: train | validation | test (train)")


def source_of(a: argparse.Namespace) -> tuple[Source, dict[str, Any]]:
    """Return the source that was asked for, and what of it belongs into the set's plan.

    Raises:
        ConfigError: with every fault of the arguments that can be told at once.
    """
    if a.verify not in MODES:
        raise ConfigError(f"--verify: {a.verify!r} is not one of {', '.join(MODES)}")
    if a.dialect not in DIALECTS:
        raise ConfigError(f"--dialect: {a.dialect!r} is not one of {', '.join(DIALECTS)}")
    options = Options(
        check_box=not a.no_box_check,
        columns=_pairs(a.columns, "--columns"),
        split=a.split,
        keep_pictures=a.keep_pictures,
        step_iou=a.step_iou,
    )
    if (a.source is None) is (a.mix is None):
        raise ConfigError("say --source KIND, or --mix KIND=SHARE,KIND=SHARE")
    plan: dict[str, Any] = {"verify": a.verify, "box_check": not a.no_box_check}
    if a.mix is not None:
        shares = _shares(a.mix)
        inputs = {ALSO.get(k, k): v for k, v in _pairs(",".join(a.input), "--input").items()}
        mix = find_mix(shares, {k: Path(v) for k, v in inputs.items()}, a.count, a.seed, options)
        names = {k: Path(v).name for k, v in inputs.items()}
        plan |= {"source": "mix", "mix": shares, "parts": len(mix), "seed": a.seed, "input": names}
        kinds = set(shares)
        source: Source = mix
    else:
        if len(a.input) > 1:
            raise ConfigError("--input: one source has one input; several are for --mix")
        path = Path(a.input[0]) if a.input else None
        kind = ALSO.get(a.source, a.source)
        source = find(kind, path, a.count, a.seed, options=options)
        seed = a.seed if kind in DRAWN else None
        plan |= {"source": kind, "parts": len(source), "seed": seed, "input": path.name if path else None}
        kinds = {kind}
    if kinds & {"scripts", "gencad-code"}:
        plan |= {"keep_pictures": a.keep_pictures, "step_iou": a.step_iou, "columns": options.columns, "split": a.split}
    if a.dialect != "plain":
        source, plan = InDialect(source, a.dialect), plan | {"dialect": a.dialect}
    return source, plan


def paths_of(a: argparse.Namespace) -> list[Path]:
    """Return the inputs, which whoever reads the source must reach."""
    return [Path(v.partition("=")[2] if a.mix is not None else v) for v in a.input]


def _pairs(text: str, option: str) -> dict[str, str]:
    """Return the pairs of ``a=b,c=d``."""
    pairs: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        key, sign, value = item.partition("=")
        if not sign or not key.strip() or not value or key.strip() in pairs:
            raise ConfigError(f"{option}: {item!r} is not NAME=VALUE, or its name was given before")
        pairs[key.strip()] = value
    return pairs


def _shares(text: str) -> dict[str, float]:
    shares = {}
    for kind, value in _pairs(text, "--mix").items():
        try:
            shares[ALSO.get(kind, kind)] = float(value)
        except ValueError:
            raise ConfigError(f"--mix: the share of {kind} is {value!r}, not a number") from None
    return shares
