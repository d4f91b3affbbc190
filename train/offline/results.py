"""What a piece of offline training leaves for the way back: the model, weights to go on from, the report, the log."""

from __future__ import annotations

import tarfile
from pathlib import Path

from train.config import Recipe
from train.loop import say
from train.offline.parts import split

MIB = 2**20
#: The stages whose weights are those of the whole model, the last first.
WHOLE = ("stage2", "stage1", "language")


def results(work: Path, out: Path, part_size: int, files: int, total: int) -> list[Path]:
    """Write what has been reached so far in parts; the most important first, the rest where there is room.

    Args:
        work: the work folder.
        out: where the parts go.
        part_size: most bytes of a part.
        files: most files, the index among them.
        total: most bytes of all.
    """
    run = work / "run"
    chosen: list[Path] = []
    for path in (work / "report.json", work / "log.txt", _model(work), _start(work)):
        if path is None or not path.exists():
            continue
        if path.name == "log.txt":
            path = _tail(path, work / "log-end.txt")
        sizes = [p.stat().st_size for p in [*chosen, path]]
        count = sum(max(1, -(-s // part_size)) for s in sizes) + 1
        if count > files or sum(sizes) > total - MIB:
            say(f"results: {path.name} ({sizes[-1] / MIB:.1f} MiB) is left out: no room")
            continue
        chosen.append(path)
    written = split(chosen, out, part_size)
    say(f"results: {len(written)} files of {run} in {out}")
    return written


def snapshot(recipe: Recipe) -> None:
    """Write the checkpoint of the best weights so far; nothing before there are whole ones."""
    import torch
    from transformers import PreTrainedTokenizerFast

    from cadcoder.model.build import build_model, build_processor
    from train.export import export
    from train.run import read_prompt

    run = Path(recipe.out)
    best = next((run / n / "best.pt" for n in WHOLE if (run / n / "best.pt").exists()), None)
    if best is None:
        return
    tokenizer = PreTrainedTokenizerFast.from_pretrained(run / "tokenizer")
    model = build_model(recipe.model, tokenizer)
    model.load_state_dict(torch.load(best, map_location="cpu", weights_only=True))
    export(recipe, model, build_processor(recipe.model, tokenizer), read_prompt(recipe.prompt), run)


def _model(work: Path) -> Path | None:
    return _tar(work / "model.tar", {"model": work / "run" / "model"})


def _start(work: Path) -> Path | None:
    """Return an archive of the last whole model in single precision, to go on from elsewhere."""
    run = work / "run"
    for name in WHOLE:
        if (run / name / "best.pt").exists():
            held = {"start/weights.pt": run / name / "best.pt", "start/tokenizer": run / "tokenizer"}
            return _tar(work / "start.tar", held)
    return None


def _tar(path: Path, held: dict[str, Path]) -> Path | None:
    if not all(p.exists() for p in held.values()):
        return None
    with tarfile.open(path, "w") as archive:
        for name, source in held.items():
            archive.add(source, name)
    return path


def _tail(log: Path, to: Path, most: int = 400_000) -> Path:
    text = log.read_text(encoding="utf-8", errors="replace")
    to.write_text(text[-most:], encoding="utf-8")
    return to
