from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from geometry_parts import bracket, one, rect, similarity

from cadcoder.errors import InputError
from cadcoder.geometry.build import build
from cadcoder.geometry.mesh import solid_from_triangles
from cadcoder.geometry.read import read_solid, solid_from_brep
from cadcoder.geometry.solid import Solid


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One part, 1 x 2 x 3 with rounded edges, in every format."""
    import cadquery as cq
    import trimesh

    folder = tmp_path_factory.mktemp("solids")
    made = cq.Workplane().box(1, 2, 3).edges("|Z").fillet(0.3).faces(">Z").hole(0.4)
    for suffix in ("step", "stl"):
        cq.exporters.export(made, str(folder / f"part.{suffix}"))
    made.val().exportBrep(str(folder / "part.brep"))
    mesh = trimesh.load_mesh(folder / "part.stl")
    for suffix in ("obj", "ply", "glb", "off"):
        mesh.export(folder / f"part.{suffix}")
    return folder


VOLUME = 3 * (2 - (4 - np.pi) * 0.09) - 3 * np.pi * 0.04


@pytest.mark.parametrize("suffix", ["step", "brep", "stl", "obj", "ply", "glb", "off"])
def test_every_format_gives_the_same_closed_outward_part(files: Path, suffix: str) -> None:
    s = read_solid(files / f"part.{suffix}")
    assert s.volume == pytest.approx(VOLUME, rel=2e-3)
    np.testing.assert_allclose(s.extents, [1, 2, 3], atol=1e-6)
    assert (s.is_watertight, s.n_bodies, s.genus) == (True, 1, 1)


def test_brep_comes_from_bytes_too(files: Path) -> None:
    assert solid_from_brep((files / "part.brep").read_bytes()).volume == pytest.approx(VOLUME, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.step", b"", "empty"),
        ("words.step", b"hello", "STEP"),
        ("half.step", None, "STEP"),
        ("words.brep", b"hello", "BREP"),
        ("half.brep", b"\nCASCADE Topology V3, (c) Open Cascade\nLocations 0\nCurve2ds 24\n1 ", "BREP"),
        ("words.stl", b"solid nothing", "no triangles"),
        ("zeros.stl", bytes(84), "no triangles"),
        ("bad.obj", b"v 1 2", "cannot be read"),
        ("bad.glb", b"glTF123", "cannot be read"),
        ("paper.pdf", b"%PDF", "kind of solid"),
    ],
)
def test_bad_files_say_what_is_wrong(
    files: Path, tmp_path: Path, name: str, content: bytes | None, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if content is None:
        whole = (files / "part.step").read_bytes()
        content = whole[: len(whole) // 2]
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        read_solid(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr().out == ""  # OpenCascade's own messages must not reach the results


def test_a_missing_file_and_a_sheet_are_refused(tmp_path: Path) -> None:
    import cadquery as cq

    with pytest.raises(InputError, match="no such file"):
        read_solid(tmp_path / "none.step")
    cq.exporters.export(cq.Workplane(obj=cq.Face.makePlane(1, 1)), str(tmp_path / "sheet.step"))
    with pytest.raises(InputError, match="no solid"):
        read_solid(tmp_path / "sheet.step")


def test_shapes_that_are_hard_to_close() -> None:
    import cadquery as cq

    from cadcoder.geometry import occ

    cube = cq.Workplane().box(1, 1, 1)
    by_edge = cube.union(cube.translate((1, 1, 0)))
    assert (occ.mesh_shape(by_edge.val().wrapped).volume, occ.mesh_shape(by_edge.val().wrapped).n_bodies) == (2, 2)
    by_corner = cube.union(cube.translate((1, 1, 1)))
    assert occ.mesh_shape(by_corner.val().wrapped).n_bodies == 2
    hollow = cq.Workplane().box(3, 3, 3).cut(cq.Workplane().sphere(1))
    s = occ.mesh_shape(hollow.val().wrapped)
    assert (s.n_bodies, s.volume) == (1, pytest.approx(27 - 4 / 3 * np.pi, rel=2e-3))
    overlapping = cq.Compound.makeCompound([cube.val(), cube.translate((0.5, 0, 0)).val()])
    assert occ.mesh_shape(overlapping.wrapped).volume == pytest.approx(1.5)
    mirrored = cq.Workplane().box(1, 2, 3, centered=False).mirror("XY")
    assert occ.mesh_shape(mirrored.val().wrapped).volume == pytest.approx(6)


def test_exact_overlap_agrees_with_the_mesh() -> None:
    import cadquery as cq

    from cadcoder.geometry import occ

    a = cq.Workplane().cylinder(10, 4).val().wrapped
    b = cq.Workplane().cylinder(10, 4).translate((1, 0, 2)).val().wrapped
    assert occ.mesh_shape(a).iou(occ.mesh_shape(b)) == pytest.approx(occ.exact_iou(a, b), abs=2e-3)


def test_every_real_step_closes_and_keeps_its_volume(data: Path) -> None:
    from cadcoder.geometry import occ

    for path in sorted((data / "gencad_code_dev" / "steps").glob("*.step"))[::3]:
        s = read_solid(path)
        assert s.is_watertight and s.notes == ()
        assert s.volume == pytest.approx(occ.volume(occ.read_step(path)), rel=2e-3)


def test_loose_triangles_are_welded_turned_outward_and_noted() -> None:
    s = build(bracket())
    soup = s.vertices[s.faces].reshape(-1, 3)
    corners = np.arange(len(soup)).reshape(-1, 3)
    assert solid_from_triangles(soup, corners).volume == pytest.approx(s.volume)
    assert solid_from_triangles(soup, corners[:, ::-1]).volume == pytest.approx(s.volume)
    noisy = soup + np.random.default_rng(0).normal(size=soup.shape) * 1e-7
    close = solid_from_triangles(noisy, corners)
    assert close.notes == ("welded",) and close.volume == pytest.approx(s.volume, rel=1e-4)
    holed = solid_from_triangles(soup, corners[1:])
    assert holed.notes == ("repaired",) and holed.volume == pytest.approx(s.volume, rel=1e-3)
    cube = read_cube(1.0)
    for lost in (2, 6):  # a repair must not invent a side
        with pytest.raises(InputError, match="not closed"):
            solid_from_triangles(cube.vertices, cube.faces[lost:])


def test_overlapping_shells_are_united_and_a_body_in_a_cavity_stays() -> None:
    cube = read_cube(1.0)
    both = np.concatenate([cube.vertices, cube.vertices + [0.5, 0, 0]])
    faces = np.concatenate([cube.faces, cube.faces + len(cube.vertices)])
    assert solid_from_triangles(both, faces).volume == pytest.approx(1.5)
    shells = [(read_cube(3.0), 1), (read_cube(2.0), -1), (read_cube(1.0), 1)]
    points = np.concatenate([c.vertices for c, _ in shells])
    faces = np.concatenate([c.faces[:, ::way] + 8 * i for i, (c, way) in enumerate(shells)])
    nested = solid_from_triangles(points, faces)
    assert (nested.volume, nested.n_bodies) == (pytest.approx(27 - 8 + 1), 2)


def read_cube(size: float) -> Solid:
    from cadcoder.program.types import Plane, Profile

    h = size / 2
    return build(one(Profile(rect(-h, -h, h, h)), size, Plane((0, 0, -h))))


def test_files_read_turned_are_the_same_part(files: Path, tmp_path: Path) -> None:
    import trimesh

    s = read_solid(files / "part.step")
    t = s.transformed(similarity(3))
    trimesh.Trimesh(t.vertices, t.faces).export(tmp_path / "turned.stl")
    assert read_solid(tmp_path / "turned.stl").volume == pytest.approx(t.volume, rel=1e-4)


def test_reading_a_mesh_loads_no_opencascade(files: Path) -> None:
    code = (
        "import sys; from cadcoder.geometry.read import read_solid; "
        f"read_solid({str(files / 'part.stl')!r}); print('OCP' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
