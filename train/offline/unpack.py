"""Join what came back from an air-gapped machine.

``python -m train.offline.unpack FOLDER [FOLDER ...] --out DIR``

``DIR/model`` is the checkpoint; ``DIR/start`` what a later run can go on from (``start=DIR/start``); ``report.json``
and the end of the log lie beside them.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
from pathlib import Path

from cadcoder.errors import CadCoderError
from train.offline.parts import join


def unpack(folders: list[Path], out: Path) -> list[Path]:
    """Join the parts in the folders and open the archives; return what is in ``out`` then.

    Raises:
        InputError: if parts are missing or torn.
    """
    for file in join(folders, out):
        if file.suffix == ".tar":
            with tarfile.open(file) as archive:
                archive.extractall(out, filter="data")
            file.unlink()
    return sorted(p for p in out.rglob("*") if p.is_file())


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m train.offline.unpack", description="Join what came back.")
    parser.add_argument("folders", nargs="+", type=Path, help="where the files that came back lie")
    parser.add_argument("--out", type=Path, required=True, help="where the model and the reports go")
    a = parser.parse_args(argv)
    try:
        files = unpack(a.folders, a.out)
    except CadCoderError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    for file in files:
        print(f"{file.stat().st_size:>12,}  {file.relative_to(a.out)}", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
