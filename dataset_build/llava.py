"""A set as LLaVA's trainers read it: a JSON file of conversations and a folder of pictures.

``python -m dataset_build.llava SET --out DIR [--prompt FILE] [--each-picture]``

``DIR/llava.json`` is a list of ``{"id": ..., "image": ..., "conversations": [{"from": "human", "value": ...}, {"from":
"gpt", "value": ...}]}`` (Liu et al., LLaVA, ``docs/Finetune_Custom_Data.md``): ``image`` is a path below ``DIR``, the
human's words are ``<image>``, a new line and the prompt, the answer is the script. The same command goes on where it
was stopped, and ends with the same bytes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cadcoder.errors import ConfigError
from dataset_build.command import told
from dataset_build.shards import write_whole

#: What the model is asked where no prompt is given.
PROMPT = Path(__file__).parent.parent / "prompts" / "cad_coder.txt"
#: Rows in memory at a time.
ROWS = 100


def convert(folder: Path, out: Path, prompt: str, each: bool = False) -> int:
    """Write a finished set for LLaVA's trainers; return the number of conversations.

    Args:
        folder: of the set.
        out: the folder to write; made where absent, and added to where a conversion was stopped.
        prompt: what the model is asked, without the picture's placeholder.
        each: a conversation for each picture of a part, in place of one for its first.

    Raises:
        ConfigError: if there is no such set, it has no pictures, or ``out`` holds something else.
    """
    meta = folder / "meta.json"
    if not meta.is_file() or not json.loads(meta.read_text(encoding="utf-8")).get("complete"):
        raise ConfigError(f"{folder} is not a finished set; name the folder that holds its meta.json")
    paths = sorted((folder / "data").glob("*.parquet"))
    plan = {"set": [p.name for p in paths], "prompt": prompt, "each": each}
    work, final, begun = out / ".work", out / "llava.json", out / "plan.json"
    if out.exists() and any(out.iterdir()):
        if not begun.is_file() or json.loads(begun.read_text(encoding="utf-8")) != plan:
            raise ConfigError(f"--out: {out} holds something else; choose another folder")
        if final.is_file():
            shutil.rmtree(work, ignore_errors=True)
            return len(json.loads(final.read_text(encoding="utf-8")))
    write_whole(begun, json.dumps(plan, indent=1).encode())
    for path in paths:
        part = work / f"{path.stem}.json"
        if not part.exists():
            rows = [row for row, file, data in _rows(path, prompt, each) if _written(out / file, data)]
            write_whole(part, json.dumps(rows).encode())
    rows = [row for path in paths for row in json.loads((work / f"{path.stem}.json").read_text(encoding="utf-8"))]
    write_whole(final, (json.dumps(rows, indent=1) + "\n").encode())
    shutil.rmtree(work)
    return len(rows)


def _rows(path: Path, prompt: str, each: bool) -> Iterator[tuple[dict[str, Any], str, bytes]]:
    """Yield (conversation, the picture's path, its bytes) of a shard."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    names = file.schema_arrow.names
    if "image" not in names:
        raise ConfigError(f"{path.parent.parent} has no pictures; build it with --pictures gencad")
    several = each and "images" in names
    number = 0
    for batch in file.iter_batches(ROWS, columns=["image", "code", *(["images"] if several else [])]):
        for row in batch.to_pylist():
            for k, picture in enumerate([row["image"], *(row["images"] if several else [])]):
                data = picture["bytes"]
                own = f"{path.stem}-{number:06d}" + (f"-{k}" if several else "")
                place = f"images/{path.stem}/{own}.{'png' if data[:4] == bytes([137]) + b'PNG' else 'jpg'}"
                talk = [{"from": "human", "value": f"<image>\n{prompt}"}, {"from": "gpt", "value": row["code"]}]
                yield {"id": own, "image": place, "conversations": talk}, place, data
            number += 1


def _written(path: Path, data: bytes) -> bool:
    """Write a picture unless it is there; return True."""
    if not path.exists():
        write_whole(path, data)
    return True


@told
def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m dataset_build.llava", description=description)
    parser.add_argument("set", type=Path, help="folder of a finished set")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--prompt", type=Path, default=PROMPT, help="file of the prompt (prompts/cad_coder.txt)")
    parser.add_argument("--each-picture", action="store_true", help="a conversation for each picture of a part")
    a = parser.parse_args(argv)
    count = convert(a.set, a.out, a.prompt.read_text(encoding="utf-8").strip(), a.each_picture)
    sys.stderr.write(f"{count} conversations in {a.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
