"""Every script in attacks/ is run by a disposable process; none may work, hang or kill, and nothing may be left."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sandbox_attacks import ATTACKS
from sandbox_runner import descendants

NAMESPACES = ("user_ns", "net_ns", "ipc_ns", "uts_ns", "pid_ns", "root_fs")
HERE = Path(__file__).parent
WORKERS = 4
# What Landlock and seccomp do not stop where there are no namespaces; docs/sandbox.md says so too.
KNOWN_WITHOUT_NAMESPACES = {"many_files", "stat_outside"}


@pytest.fixture(
    scope="module",
    params=[(), pytest.param(NAMESPACES, marks=pytest.mark.slow)],
    ids=["all layers", "no namespaces"],
)
def report(request, tmp_path_factory):
    """What came of all attacks and what was left; once as in a container that allows no namespaces."""
    job = {
        "names": list(ATTACKS),
        "outside": str(tmp_path_factory.mktemp("outside")),
        "without": request.param,
        "workers": WORKERS,
        "timeout": 2.5,
    }
    done = subprocess.run(
        [sys.executable, HERE / "sandbox_runner.py"], input=json.dumps(job), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"reduced": bool(request.param)}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_fails(report, name):
    attack, row = ATTACKS[name], report["rows"][name]
    if report["reduced"] and name in KNOWN_WITHOUT_NAMESPACES:
        assert not set(attack.alone) & set(report["layers"])
        return
    assert row["status"] in attack.expect, (row["status"], row["message"], row["output"][:300])
    assert row["status"] == "ok" or row["message"]
    assert row["message"].isprintable() and len(row["message"]) <= 500
    assert len(row["output"]) <= 1 << 14
    assert row["seconds"] < 30
    assert row["layers"] == report["layers"]
    assert row["result_name"] is None or row["result_name"].isidentifier()
    if row["status"] == "ok" and attack.volume:
        assert row["volume"] == pytest.approx(attack.volume)


def test_nothing_is_left(report):
    assert report["changed"] == [] and report["reached"] == [] and report["canary_alive"]
    assert report["processes"] == 1 + WORKERS and report["zombies"] == []  # the root zygote and each worker's server
    assert report["in_folder"] == []
    assert report["folder_gone"] and report["janitor_gone"]
    before, after, closed = report["descriptors"]
    assert after <= before + WORKERS and closed <= before
    assert report["after_ok"]


def test_the_executor_is_never_at_fault(report):
    counts = Counter(row["status"] for row in report["rows"].values())
    assert counts["harness_error"] == 0
    assert len(ATTACKS) >= 60
    # The suite makes every outcome but our own fault.
    assert len(counts) == 10


@pytest.mark.parametrize("without", [(), pytest.param(NAMESPACES, marks=pytest.mark.slow)])
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
