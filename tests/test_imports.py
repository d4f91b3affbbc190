"""Who may know whom: the table of docs/architecture.md, held by walking the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: Modules that every room may use.
EVERYWHERE = {"cadcoder", "cadcoder.errors"}
#: The pipeline and the modules beside it that only it and the commands use.
PIPELINE = {
    f"cadcoder.{m}"
    for m in ("pipeline", "choose", "part", "rewrite", "pictures", "scoring", "sizes", "files", "options")
}
ROOMS = {f"cadcoder.{r}" for r in ("program", "sandbox", "model", "geometry", "render", "refine")}

RASTER = {f"cadcoder.render.{m}" for m in ("raster", "raster_mesh", "raster_views", "raster_looks", "raster_effects")}

ALLOWED: dict[str, set[str]] = {
    "cadcoder.program": set(),
    "cadcoder.sandbox": set(),
    "cadcoder.model": set(),
    "cadcoder.geometry": {"cadcoder.program"},
    "cadcoder.render": {"cadcoder.geometry"},
    # The rasteriser alone is written in torch; the rest of the room does without.
    **dict.fromkeys(RASTER, {"cadcoder.geometry", "cadcoder.render", *RASTER}),
    "cadcoder.refine": {"cadcoder.program", "cadcoder.geometry", "cadcoder.render"},
    **dict.fromkeys(PIPELINE, PIPELINE | ROOMS),
    "cadcoder": PIPELINE,
    "cadcoder.__main__": {"cadcoder.cli"},
    "cadcoder.serve": PIPELINE | ROOMS,
    "cadcoder.cli": PIPELINE | ROOMS | {"cadcoder.serve"},
    "dataset_build": {f"cadcoder.{r}" for r in ("program", "sandbox", "geometry", "render", "refine")},
    "train": {"cadcoder.program", "cadcoder.model"},
    "train.offline": {
        *("cadcoder.program", "cadcoder.model", "cadcoder.geometry", "cadcoder.render"),
        *("dataset_build", "train", *RASTER),
    },
    "eval": PIPELINE | ROOMS,
}

#: What may not be imported at the top of a module that is light.
HEAVY = {"torch", "transformers", "cadquery", "OCP", "vtk", "vtkmodules", "manifold3d", "trimesh", "scipy", "datasets"}
#: Rooms that never import these, at the top or inside a function.
NEVER = {
    "cadcoder.program": HEAVY | {"numpy", "PIL"},
    "cadcoder.model": {"cadquery", "OCP", "vtk", "vtkmodules", "manifold3d", "trimesh"},
    "cadcoder.sandbox": {"torch", "transformers", "vtk", "vtkmodules"},
    "cadcoder.geometry": {"torch", "transformers"},
    "cadcoder.render": {"torch", "transformers", "cadquery", "OCP"},
}


def _files() -> list[Path]:
    folders = ("cadcoder", "dataset_build", "train", "eval")
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))


def _module(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(module: str) -> str:
    """Return the row of the table that a module is in: the longest that is a prefix of its name."""
    rows = [row for row in ALLOWED if module == row or module.startswith(f"{row}.")]
    return max(rows, key=len)


def _imports(path: Path) -> list[tuple[str, int, bool]]:
    """Return (module, line, whether at the top level) of every import, relative ones resolved."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(n) for n in tree.body}
    package = _module(path).split(".") if path.name == "__init__.py" else _module(path).split(".")[:-1]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            # ``from cadcoder import pictures`` may name a module or a thing in one.
            for alias in node.names:
                full = f"{name}.{alias.name}"
                is_module = (ROOT / full.replace(".", "/")).with_suffix(".py").exists()
                is_package = (ROOT / full.replace(".", "/") / "__init__.py").exists()
                found.append((full if is_module or is_package else name, node.lineno, id(node) in top))
    return found


def test_every_room_imports_only_what_the_table_allows() -> None:
    ours = ("cadcoder", "dataset_build", "train", "eval")
    faults = []
    for path in _files():
        room = _room(_module(path))
        for name, line, _ in _imports(path):
            if name.split(".")[0] not in ours or name in EVERYWHERE:
                continue
            target = _room(name)
            if target != room and target not in ALLOWED[room]:
                faults.append(f"{path.relative_to(ROOT)}:{line} imports {name}: {room} may not know {target}")
    assert not faults, "\n".join(faults)


def test_rooms_keep_clear_of_heavy_packages() -> None:
    faults = []
    for path in _files():
        room = _room(_module(path))
        for name, line, _ in _imports(path):
            if name.split(".")[0] in NEVER.get(room, set()):
                faults.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not faults, "\n".join(faults)


def test_commands_import_their_work_lazily() -> None:
    faults = []
    for path in _files():
        if _room(_module(path)) not in {"cadcoder.cli", "cadcoder.serve", "cadcoder", *PIPELINE}:
            continue
        for name, line, at_top in _imports(path):
            if at_top and name.split(".")[0] in HEAVY | {"numpy", "PIL"}:
                faults.append(f"{path.relative_to(ROOT)}:{line} imports {name} at the top")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "code",
    [
        "import cadcoder; cadcoder.generate; cadcoder.Part; cadcoder.Pipeline; dir(cadcoder)",
        "import sys; sys.argv = ['cadcoder', '--help']\n"
        "from cadcoder.cli.main import run\ntry: run()\nexcept SystemExit as e: assert not e.code",
        "import sys; sys.argv = ['cadcoder', 'generate', '--help']\n"
        "from cadcoder.cli.main import run\ntry: run()\nexcept SystemExit as e: assert not e.code",
    ],
    ids=["import", "help", "generate-help"],
)
def test_light_starts_load_nothing_heavy(code: str) -> None:
    check = f"{code}\nimport sys; print(sorted(set(sys.modules) & {HEAVY | {'numpy'}!r}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "[]"
