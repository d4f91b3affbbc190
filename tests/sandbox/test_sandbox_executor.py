"""What the executor does with ordinary scripts: results, names, files, failures, and many at once."""

import io
import json
import math
import os
import signal
import struct
import threading
import time

import numpy as np
import pytest

from cadcoder.errors import ConfigError
from cadcoder.sandbox import STATUSES, Executor, Outcome

CQ = "import cadquery as cq\n"
BOX = CQ + "solid = cq.Workplane().box(1, 2, 3)\n"


@pytest.fixture(scope="module")
def executor():
    with Executor(workers=2, timeout=10) as pool:
        yield pool


def run(executor, code, **options):
    return executor.run(CQ + code, **{"exports": (), **options})


def mesh_volume(vertices, faces):
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6


def assert_watertight(faces):
    """Every directed edge has its opposite: closed and consistently oriented."""
    edges = {(int(t[i]), int(t[(i + 1) % 3])) for t in faces for i in range(3)}
    assert len(edges) == 3 * len(faces)
    assert all((b, a) in edges for a, b in edges)


def test_a_box_is_measured(executor):
    outcome = executor.run(BOX)
    assert outcome.ok and outcome.status == "ok" and outcome.message == ""
    assert outcome.volume == pytest.approx(6) and outcome.n_solids == 1
    assert np.allclose(outcome.bounds, [[-0.5, -1, -1.5], [0.5, 1, 1.5]], atol=1e-9)
    assert outcome.vertices.dtype == np.float64 and outcome.vertices.shape == (8, 3)
    assert outcome.faces.dtype == np.int32 and outcome.faces.shape == (12, 3)
    assert mesh_volume(outcome.vertices, outcome.faces) == pytest.approx(6)
    assert outcome.result_name == "solid" and outcome.layers == executor.layers
    assert 0 < outcome.seconds < 10 and 0 <= outcome.peak_mb < 200


def test_the_row_is_json_without_bytes(executor):
    row = json.loads(json.dumps(executor.run(BOX).to_json(), allow_nan=False))
    assert row["status"] == "ok" and row["n_faces"] == 12 and row["files"]["step"] > 1000
    assert "brep" not in row and set(STATUSES) >= {row["status"]}


@pytest.mark.parametrize(
    "code",
    [
        "solid = cq.Workplane().box(4, 4, 4).edges('|Z').fillet(0.5).faces('>Z').workplane().hole(1)",
        "solid = cq.Workplane().sphere(2).cut(cq.Workplane().box(1, 1, 9))",
        "solid = cq.Workplane().circle(2).workplane(offset=3).rect(1, 1).loft()",
        "solid = cq.Workplane('XZ').moveTo(3, 0).circle(1).revolve(360, (0, 0, 0), (0, 1, 0))",
        "solid = cq.Workplane().circle(2).extrude(5).faces('>Z').shell(0.2)",
        "solid = cq.Workplane().polygon(6, 3).twistExtrude(4, 30)",
        # Delabella leaves the wall of this one without triangles
        "solid = cq.Workplane().spline([(0, 0), (3, 1), (4, 4), (1, 3)]).close().extrude(2)",
        "solid = cq.Workplane().spline([(1, 0), (2, 1), (1, 3)]).lineTo(0, 3).lineTo(0, 0).close()"
        ".revolve(360, (0, 0, 0), (0, 1, 0))",
    ],
)
def test_meshes_of_valid_solids_are_watertight(executor, code):
    outcome = run(executor, code)
    assert outcome.ok, outcome.message
    assert_watertight(outcome.faces)
    assert mesh_volume(outcome.vertices, outcome.faces) == pytest.approx(outcome.volume, rel=5e-3)
    assert np.allclose([outcome.vertices.min(0), outcome.vertices.max(0)], outcome.bounds, atol=1e-2)


def test_the_brep_reads_back(executor):
    import cadquery as cq

    outcome = run(executor, "solid = cq.Workplane().circle(1).extrude(2)")
    shape = cq.Shape.importBrep(io.BytesIO(outcome.brep))
    assert shape.ShapeType() == "Solid" and shape.Volume() == pytest.approx(2 * math.pi)


def test_exports_open_elsewhere(executor, tmp_path):
    import cadquery as cq
    import trimesh

    outcome = executor.run(CQ + "solid = cq.Workplane().box(10, 20, 30).edges('|Z').fillet(2)")
    assert set(outcome.files) == {"step", "stl", "glb"}
    path = tmp_path / "part.step"
    path.write_bytes(outcome.files["step"])
    assert cq.importers.importStep(str(path)).val().Volume() == pytest.approx(outcome.volume, rel=1e-9)
    stl = trimesh.load(io.BytesIO(outcome.files["stl"]), file_type="stl")
    assert stl.is_watertight and stl.volume == pytest.approx(outcome.volume, rel=1e-3)
    count = struct.unpack("<I", outcome.files["stl"][80:84])[0]
    assert len(outcome.files["stl"]) == 84 + 50 * count == 84 + 50 * len(outcome.faces)
    glb = trimesh.load(io.BytesIO(outcome.files["glb"]), file_type="glb")
    # glTF has metres and y up.
    assert np.allclose(sorted(glb.extents), [0.01, 0.02, 0.03], atol=1e-6)
    assert glb.extents[1] == pytest.approx(0.03, abs=1e-6)


def test_only_what_is_asked_for_is_made(executor):
    outcome = executor.run(BOX, exports=("stl",), mesh=False)
    assert set(outcome.files) == {"stl"} and outcome.vertices is None and outcome.brep


@pytest.mark.parametrize(
    ("code", "name", "volume"),
    [
        ("solid = box(1)\nresult = box(2)", "solid", 1),
        ("x = box(3)\nresult = box(2)", "result", 2),
        ("r = box(2)\ny = box(3)", "r", 2),
        ("r = 5\npart = box(2)", "part", 2),
        ("result = box(1)\nshow_object(box(2), name='a', options={'color': 'red'})", "show_object", 2),
        ("show_object(box(1))\nshow_object(box(2).translate((9, 0, 0)))", "show_object", 3),
        ("a = box(1)\nb = box(2)\na = box(3)", "a", 3),
        ("a, b = box(1), box(2)", "b", 2),
        ("for i in range(3):\n    last = box(i + 1)", "last", 3),
        ("if True:\n    it: object = box(4)\nn = 1", "it", 4),
        ("if __name__ == '__main__':\n    body = box(5)", "body", 5),
        ("solid = box(6).val()", "solid", 6),
        ("solid = [box(1), box(2).translate((9, 0, 0))]", "solid", 3),
        ("solid = cq.Assembly(box(1)).add(box(2), loc=cq.Location((9, 0, 0)))", "solid", 3),
        ("solid = box(2).faces('>Z').workplane()", "solid", 2),
        ("solid = box(2)\nimport sys\nsys.exit(0)", "solid", 2),
    ],
)
def test_results_are_found(executor, code, name, volume):
    outcome = run(executor, "def box(v):\n    return cq.Workplane().box(1, 1, v)\n" + code)
    assert (outcome.status, outcome.result_name) == ("ok", name), outcome.message
    assert outcome.volume == pytest.approx(volume)


def test_strict_accepts_one_name(executor):
    assert run(executor, "result = cq.Workplane().box(1, 1, 1)", strict_name="solid").status == "no_result"
    assert run(executor, "solid = cq.Workplane().box(1, 1, 1)", strict_name="solid").ok
    bare = run(executor, "solid = cq.Workplane().box(1, 1, 1).faces('>Z')", strict_name="solid")
    assert bare.status == "invalid_shape"


def test_several_solids_become_a_compound(executor):
    outcome = run(executor, "solid = cq.Workplane().pushPoints([(0, 0), (5, 0), (10, 0)]).box(1, 1, 1, combine=False)")
    assert outcome.ok and outcome.n_solids == 3 and outcome.volume == pytest.approx(3)
    assert np.allclose(outcome.bounds, [[-0.5] * 3, [10.5, 0.5, 0.5]])


def test_a_solid_inside_out_is_turned(executor):
    outcome = run(executor, "solid = cq.Shape.cast(cq.Workplane().box(1, 1, 1).val().wrapped.Reversed())")
    assert outcome.ok and outcome.volume == pytest.approx(1)
    assert mesh_volume(outcome.vertices, outcome.faces) == pytest.approx(1)


def test_failures_say_where_and_why(executor):
    outcome = executor.run("import cadquery as cq\nx = 1\n\ndef f():\n    return 1 / 0\n\nf()\n")
    assert (outcome.status, outcome.line) == ("exception", 5) and "ZeroDivisionError" in outcome.message
    outcome = executor.run("x = 1\ny = (\n")
    assert (outcome.status, outcome.line) == ("syntax_error", 2)
    outcome = run(executor, "\nsolid = cq.Workplane().box(1, 1, 1).edges().fillet(9)")
    assert (outcome.status, outcome.line) == ("exception", 3) and outcome.message
    outcome = executor.run("import torch_not_there")
    assert outcome.status == "exception" and "torch_not_there" in outcome.message
    assert executor.run("").status == "no_result"


def test_output_is_kept_and_cut(executor):
    outcome = run(executor, "import sys\nprint('out ü')\nprint('err', file=sys.stderr)\n" + BOX)
    assert outcome.ok and outcome.output == "out ü\nerr\n"
    outcome = run(executor, "print('x' * 100_000)\n" + BOX)
    assert outcome.ok and len(outcome.output) == 1 << 14
    assert run(executor, "import os\nprint('before')\nos._exit(3)").output == "before\n"


def test_scripts_do_not_meet(executor):
    """What one script leaves behind, in memory or in its folder, the next does not see."""
    leave = "import builtins, math\nbuiltins.open = None\nmath.pi = 3\ncq.Workplane.box = None\nsolid = None\n"
    run(executor, leave + "import os\nos.write(os.open('f', os.O_CREAT | os.O_WRONLY), b'x')")
    outcome = run(
        executor,
        "import math, os\nassert math.pi > 3.1 and open and not os.listdir('.')\nsolid = cq.Workplane().box(1, 1, 1)",
    )
    assert outcome.ok, outcome.message


def test_replaced_builtins_do_not_reach_the_judge(executor):
    patch = (
        "import builtins, sys, json\nfrom OCP.BRepGProp import BRepGProp\n"
        "BRepGProp.VolumeProperties_s = None\njson.dumps = lambda *a, **k: '{}'\n"
        "sys.stdout = sys.stderr = None\nbuiltins.print = builtins.len = None\n"
    )
    outcome = run(executor, "solid = cq.Workplane().box(1, 1, 1)\n" + patch)
    assert outcome.status in ("crash", "exception", "ok") and outcome.volume in (None, pytest.approx(1))


def test_files_in_the_own_folder_work(executor):
    outcome = run(
        executor,
        "import tempfile, os\nsolid = cq.Workplane().box(1, 1, 1)\ncq.exporters.export(solid, 'part.step')\n"
        "cq.exporters.export(solid, 'part.stl')\nback = cq.importers.importStep('part.step')\nos.mkdir('d')\n"
        "os.rename('part.stl', 'd/x.stl')\nwith tempfile.TemporaryFile() as f:\n    f.write(b'x')\n"
        "assert abs(back.val().Volume() - 1) < 1e-9",
    )
    assert outcome.ok, outcome.message


@pytest.mark.parametrize(
    "code",
    [
        "solid = cq.Workplane().text('Ab', 10, 2)",
        "solid = cq.Workplane().placeSketch(cq.Sketch().rect(3, 3).vertices().fillet(0.5)).extrude(1)",
        "a = cq.Assembly().add(cq.Workplane().box(1, 1, 1), name='a').add(cq.Workplane().box(1, 1, 2), name='b')\n"
        "a.constrain('a@faces@>Z', 'b@faces@<Z', 'Plane')\na.solve()\nsolid = a",
        "cq.exporters.export(cq.Workplane().box(1, 1, 1), 'a.svg')\n"
        "cq.exporters.export(cq.Workplane().rect(1, 1), 'a.dxf')\n"
        "solid = cq.importers.importDXF('a.dxf').wires().toPending().extrude(1)",
        "import numpy as np, scipy.optimize, random, tempfile, shutil, os\nx = float(np.linalg.norm([3, 4]))\n"
        "open('a', 'w').close()\nshutil.copy('a', 'b')\nos.chmod('a', 0o600)\nsolid = cq.Workplane().sphere(x)",
        "import threading\nparts = []\nt = threading.Thread(target=lambda: parts.append(cq.Workplane().box(1, 2, 3)))\n"
        "t.start()\nt.join()\nsolid = parts[0].cut(cq.Workplane().sphere(0.4))",
        "path = cq.Workplane('XZ').spline([(0, 0), (2, 3), (0, 6)])\nsolid = cq.Workplane().circle(0.5).sweep(path)",
        "helix = cq.Wire.makeHelix(1, 0.5, 4)\n"
        "solid = cq.Workplane('XZ').center(4, 0).circle(0.4).sweep(cq.Workplane(helix), isFrenet=True)",
        "a = cq.Assembly(cq.Workplane().box(1, 1, 1), color=cq.Color('red'))\n"
        "a.export('a.step')\na.export('a.glb')\nsolid = a",
    ],
)
def test_what_people_write_works(executor, code):
    outcome = run(executor, code, mesh=False)
    assert outcome.ok, (outcome.status, outcome.message, outcome.output[-500:])


def test_two_hundred_come_through_two_workers(executor):
    codes = [CQ + f"solid = cq.Workplane().box(1, 1, {i + 1}).edges('|Z').fillet(0.1)" for i in range(200)]
    area = 1 - (4 - math.pi) * 0.01
    outcomes = executor.run_many(codes, exports=(), mesh=False)
    assert [o.volume for o in outcomes] == [pytest.approx(area * (i + 1)) for i in range(200)]


@pytest.mark.slow
def test_two_hundred_at_once():
    """All of them alive at the same time, each with threads of its own: no limit of processes may meet them."""
    wait = "import threading, time\nt = threading.Thread(target=time.sleep, args=(5,))\nt.start()\nt.join()\n"
    codes = [CQ + wait + f"solid = cq.Workplane().box(1, 1, {i + 1})" for i in range(200)]
    with Executor(workers=200, timeout=120) as pool:
        outcomes = pool.run_many(codes, exports=(), mesh=False)
    assert [(o.status, o.volume) for o in outcomes] == [("ok", pytest.approx(i + 1)) for i in range(200)]


def test_faces_that_bound_nothing_are_left_out_of_the_mesh(executor):
    """As in DeepCAD's 00064673, where a boolean left an internal face in a solid."""
    code = (
        "from OCP.BRep import BRep_Builder\nfrom OCP.TopAbs import TopAbs_Orientation\n"
        "from OCP.TopoDS import TopoDS_Shell\n"
        "box = cq.Workplane().box(2, 2, 2).val()\nface = cq.Face.makePlane(1, 1).wrapped\n"
        "shell = box.Shells()[0].wrapped\nbuilder = BRep_Builder()\nmade = TopoDS_Shell()\nbuilder.MakeShell(made)\n"
        "for f in box.Faces():\n    builder.Add(made, f.wrapped)\n"
        "builder.Add(made, face.Oriented(TopAbs_Orientation.TopAbs_INTERNAL))\nmade.Closed(True)\n"
        "solid = cq.Shape.cast(cq.Solid.makeSolid(cq.Shell(made)).wrapped)\n"
    )
    outcome = run(executor, code)
    assert outcome.status in ("ok", "invalid_shape") and outcome.volume == pytest.approx(8)
    assert outcome.vertices.shape == (8, 3) and outcome.faces.shape == (12, 3)
    assert_watertight(outcome.faces)


def test_welding_joins_equal_points_and_no_others():
    from scipy.spatial import cKDTree

    from cadcoder.sandbox import shapes

    rng = np.random.default_rng(0)
    for _ in range(40):
        count, scale = int(rng.integers(1, 300)), 10 ** rng.uniform(-10, -6)
        points = rng.integers(0, 4, (count, 3)) + rng.normal(0, scale, (count, 3))
        root = np.arange(count)
        for low, high in cKDTree(points).query_pairs(5e-7, output_type="ndarray"):
            first, second = sorted((shapes._find(root, low), shapes._find(root, high)))
            root[second] = first
        assert [shapes._find(root, i) for i in range(count)] == list(shapes._joined(points, 5e-7))


def test_many_come_in_order_and_in_parallel(executor):
    codes = [CQ + f"solid = cq.Workplane().box(1, 1, {i + 1})" for i in range(40)]
    codes[7] = "raise ValueError(7)"
    outcomes = executor.run_many(codes, exports=(), mesh=False)
    assert [round(o.volume) if o.ok else o.status for o in outcomes] == [
        "exception" if i == 7 else i + 1 for i in range(40)
    ]
    start = time.monotonic()
    assert all(o.ok for o in executor.run_many(["import time\ntime.sleep(1)\n" + BOX] * 2, exports=()))
    assert time.monotonic() - start < 1.9


def test_imap_yields_as_it_goes(executor):
    def codes():
        for i in range(100):
            assert i - seen < 10  # it does not read all there is at once
            yield CQ + f"solid = cq.Workplane().box(1, 1, {i + 1})"

    seen = 0
    for outcome in executor.imap(codes(), exports=(), mesh=False):
        seen += 1
        assert outcome.volume == pytest.approx(seen)
        if seen == 20:
            break


def test_several_threads_may_share_it(executor):
    found = {}

    def work(i):
        found[i] = run(executor, f"solid = cq.Workplane().box(1, 1, {i + 1})", mesh=False).volume

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [round(found[i]) for i in range(6)] == [1, 2, 3, 4, 5, 6]


def test_a_dead_server_is_replaced_and_then_a_dead_zygote(executor):
    """The zygote runs in a process group of its own; killing it kills everything below it."""
    with Executor(workers=1, timeout=5) as pool:
        assert run(pool, "solid = cq.Workplane().box(1, 1, 1)").ok
        pool._servers.queue[0].control.close()
        assert run(pool, "solid = cq.Workplane().box(1, 1, 2)").volume == pytest.approx(2)
        os.killpg(pool._zygote._process.pid, signal.SIGKILL)
        assert run(pool, "solid = cq.Workplane().box(1, 1, 3)").volume == pytest.approx(3)
    with pytest.raises(ConfigError, match="closed"):
        pool.run(BOX)
    pool.close()


def test_misuse_is_one_clear_line(executor):
    with pytest.raises(ConfigError, match="cannot export obj"):
        executor.run(BOX, exports=("obj",))
    with pytest.raises(ConfigError, match="string"):
        executor.run(None)
    with pytest.raises(ConfigError, match="workers"):
        Executor(workers=0)
    with pytest.raises(ConfigError, match="time-out"):
        Executor(timeout=math.nan)


def test_an_outcome_is_frozen():
    outcome = Outcome("timeout", "too long")
    with pytest.raises(AttributeError):
        outcome.status = "ok"
    assert not outcome.ok and outcome.to_json()["volume"] is None


def test_a_process_that_cannot_start_is_told_at_once(monkeypatch):
    """For instance where cadquery is not installed: one line with the reason, not a wait."""
    from cadcoder.errors import SandboxUnavailable
    from cadcoder.sandbox import supervisor

    monkeypatch.setattr(supervisor, "_BOOTSTRAP", "raise ImportError('no cadquery') # {path} {fd} {without}")
    start = time.monotonic()
    with pytest.raises(SandboxUnavailable, match="ImportError: no cadquery"):
        Executor()
    assert time.monotonic() - start < 20
