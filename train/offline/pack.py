"""Make the kit that is carried to an air-gapped machine: the code it needs, and wheels of what it lacks.

``python -m train.offline.pack --out build/kit [--wheels DIR]``

The kit runs there with ``sh KIT/fire.sh``; its options are those of :mod:`train.offline.fire`.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from pathlib import Path

from cadcoder.errors import CadCoderError, ConfigError
from train.export import commit

ROOT = Path(__file__).resolve().parents[2]
#: What is carried of the repository; the default model's weights and everything that needs CadQuery stay behind.
CODE = ("cadcoder", "dataset_build", "train", "prompts")
LEFT = ("__pycache__", "default", "cli", "*.pyc")
#: Most bytes of a kit, by default.
LIMIT = 60 * 2**20
_FIRE = """#!/bin/sh
# Everything the machine has to do; give the same command again to go on. Options: see train/offline/fire.py.
here=$(cd "$(dirname "$0")" && pwd)
work=${WORK:-/tmp/offline}
mkdir -p "$work" || exit 1
# Processes that go on between the pieces need code that stays, wherever the kit comes to lie next time.
if ! cmp -s "$here/STAMP" "$work/kit/STAMP"; then
  rm -rf "$work/kit" "$work/site" && cp -R "$here" "$work/kit" || exit 1
  for wheel in "$work"/kit/wheels/*.whl; do
    [ ! -e "$wheel" ] || python3 -m zipfile -e "$wheel" "$work/site" || { rm -rf "$work/kit"; exit 1; }
  done
fi
cd "$work/kit" || exit 1
PYTHONUNBUFFERED=1 PYTHONPATH="$work/kit:$work/site" exec python3 -m train.offline.fire --work "$work" "$@"
"""


def pack(out: Path, wheels: Path | None = None, limit: int = LIMIT) -> int:
    """Write the kit; return its size in bytes.

    Args:
        out: the folder; an older kit there is replaced.
        wheels: folder of wheels to carry.
        limit: most bytes.

    Raises:
        ConfigError: if ``out`` is something else, or the kit is too large.
    """
    if out.exists() and any(out.iterdir()) and not (out / "fire.sh").exists():
        raise ConfigError(f"--out: {out} is not empty and holds no kit; choose another folder")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name in CODE:
        shutil.copytree(ROOT / name, out / name, ignore=shutil.ignore_patterns(*LEFT))
    (out / "COMMIT").write_text(f"{commit() or 'unknown'}\n")
    (out / "fire.sh").write_text(_FIRE)
    found = sorted(wheels.glob("*.whl")) if wheels else []
    if wheels and not found:
        raise ConfigError(f"--wheels: {wheels} holds no wheel; fetch one with: pip download --no-deps manifold3d")
    (out / "wheels").mkdir()
    for wheel in found:
        shutil.copy2(wheel, out / "wheels")
    digest = hashlib.sha256()
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(out)}\n".encode() + path.read_bytes())
    (out / "STAMP").write_text(f"{digest.hexdigest()}\n")
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    if size > limit:
        raise ConfigError(f"the kit has {size / 2**20:.1f} MiB, more than the {limit / 2**20:.0f} that may be carried")
    return size


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m train.offline.pack", description="Make the kit.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the kit")
    parser.add_argument("--wheels", type=Path, help="folder of wheels to carry (manifold3d for that machine)")
    parser.add_argument("--limit", type=float, default=LIMIT / 2**20, help="most MiB (default %(default)s)")
    a = parser.parse_args(argv)
    try:
        size = pack(a.out, a.wheels, int(a.limit * 2**20))
    except CadCoderError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    print(f"{size / 2**20:.1f} MiB in {a.out}", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
