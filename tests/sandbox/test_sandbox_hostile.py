"""Every script in attacks/ is run; none may work, hang or kill, and nothing of it may be left.

The first line of each says what it tries, the second which outcomes are right. ``@OUTSIDE@`` and ``@HOME@`` stand for a
folder of the caller's with a ``secret.txt`` in it and for the home folder.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from cadcoder.sandbox import Executor

ATTACKS = sorted((Path(__file__).parent / "attacks").glob("*.py"))
BOX = "import cadquery as cq\nsolid = cq.Workplane().box(1, 2, 3)"


def descendants(root):
    """The ids of the processes below ``root``."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    children = {}
    for pid, parent in (map(int, line.split()) for line in table.splitlines()):
        children.setdefault(parent, []).append(pid)
    found, todo = set(), [root]
    while todo:
        for pid in children.get(todo.pop(), []):
            found.add(pid)
            todo.append(pid)
    return found


@pytest.fixture(scope="module", params=["all layers", "no namespaces"])
def report(request, tmp_path_factory):
    """The outcomes of all attacks by name, and what was left afterwards; once as in a container without namespaces."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.txt").write_text("secret")
    without = () if request.param == "all layers" else ("user_ns", "net_ns", "ipc_ns", "uts_ns", "pid_ns", "root_fs")
    codes = []
    for path in ATTACKS:
        code = path.read_text().replace("@OUTSIDE@", str(outside)).replace("@HOME@", str(Path.home()))
        codes.append(code)
    with Executor(workers=4, timeout=2.5, memory_mb=256, without=without) as executor:
        janitor = executor._zygote._process.pid
        outcomes = executor.run_many(codes, exports=())
        after = executor.run(BOX)
        left = descendants(janitor)
        folder = Path(executor._zygote.folder)
        in_folder = list(folder.iterdir())
    return {
        "outcomes": dict(zip((path.stem for path in ATTACKS), outcomes, strict=True)),
        "after": after,
        "processes": len(left),
        "outside": sorted(path.name for path in outside.iterdir()),
        "in_folder": in_folder,
        "folder_gone": not folder.exists(),
        "janitor_gone": not os.path.exists(f"/proc/{janitor}"),
    }


@pytest.mark.parametrize("name", [path.stem for path in ATTACKS])
def test_attack_fails(report, name):
    text = (Path(__file__).parent / "attacks" / f"{name}.py").read_text()
    expected = text.split("# expect: ")[1].split("\n")[0].split()
    outcome = report["outcomes"][name]
    assert outcome.status in expected, (outcome.status, outcome.message, outcome.output[:300])
    assert outcome.status == "ok" or outcome.message
    assert outcome.message.isprintable() and len(outcome.message) <= 500
    assert len(outcome.output) <= 1 << 14
    assert outcome.seconds < 15


def test_nothing_is_left(report):
    assert report["outside"] == ["secret.txt"]
    assert report["processes"] == 1 + 4  # the root zygote and a server for each worker
    assert report["in_folder"] == []
    assert report["folder_gone"] and report["janitor_gone"]
    assert report["after"].ok and report["after"].volume == pytest.approx(6)


def test_the_executor_is_never_at_fault(report):
    counts = Counter(outcome.status for outcome in report["outcomes"].values())
    assert counts["harness_error"] == 0
    assert len(ATTACKS) >= 60


@pytest.mark.parametrize("without", [(), ("user_ns", "net_ns", "ipc_ns", "uts_ns", "pid_ns", "root_fs")])
def test_all_ends_when_the_caller_is_killed(without):
    """Even a script that is running, and the folder: nobody is left to clean up but the processes themselves."""
    code = (
        "import threading, time\nfrom cadcoder.sandbox import Executor\n"
        f"pool = Executor(workers=1, timeout=600, without={without!r})\n"
        "threading.Thread(target=pool.run, args=('while True: pass',)).start()\ntime.sleep(0.7)\n"
        "print(pool._zygote._process.pid, pool._zygote.folder, flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as caller:
        janitor, folder = caller.stdout.readline().split()
        processes = {int(janitor), *descendants(int(janitor))}
        caller.kill()
    assert len(processes) >= 3
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (os.path.exists(folder) or any(map(alive, processes))):
        time.sleep(0.05)
    assert not os.path.exists(folder) and not any(map(alive, processes))


def alive(pid):
    """Whether a process is there and no zombie, which only its foreign parent can remove."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
