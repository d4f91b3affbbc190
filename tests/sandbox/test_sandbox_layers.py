"""Every layer alone stops what it is there for, so that one that died silently fails a test here."""

import json
import socket
import struct
import subprocess
import sys

import pytest

from cadcoder.sandbox import landlock, layers, linux, seccomp

pytestmark = pytest.mark.skipif(not linux.IS_LINUX, reason="the layers are Linux's")

# Runs in a fresh interpreter: confines itself with one plan, tries things, and prints what worked.
PROBE = """
import ctypes, errno, json, os, resource, signal, socket, sys
from cadcoder.sandbox import layers, linux
from cadcoder.sandbox.limits import Limits

child_layers, folder, secret, port, namespaces = json.loads(sys.argv[1])
os.dup2(1, 3)
leak = os.dup(1)
if namespaces:
    layers.enter_namespaces(namespaces)
    pid = os.fork()
    if pid:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)
    if "root_fs" in namespaces:
        layers.build_root(folder, layers.readable_paths([os.path.dirname(os.__file__)]))
plan = layers.Plan(tuple(namespaces), tuple(child_layers), tuple(sys.path), 3 << 30)
limits = Limits(memory_mb=1000, file_mb=1, files=20)
parent = os.getppid()
where = layers.confine(plan, limits, folder)


def read(path):
    with open(path, "rb") as file:
        return file.read(1)


def write(path, size=1):
    with open(path, "wb", buffering=0) as file:
        for _ in range(size):
            file.write(bytes(1000))


def connect(family, address):
    with socket.socket(family) as s:
        s.settimeout(2)
        s.connect(address)


def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def execute():
    try:
        os.execv(folder + "/no-such-program", ["x"])
    except FileNotFoundError:
        pass  # it was looked for, so it would have run


def many_files():
    for i in range(100):
        write(f"many{i}")


attempts = {
    "read outside": lambda: read(secret),
    "write outside": lambda: write(os.path.dirname(secret) + "/new"),
    "read library": lambda: read(os.__file__),
    "write own": lambda: write("own"),
    "big file": lambda: write("big", 5000),
    "many files": many_files,
    "tcp": lambda: connect(socket.AF_INET, ("127.0.0.1", port)),
    "unix": lambda: connect(socket.AF_UNIX, "\\0cadcoder-test"),
    "socket": lambda: socket.socket().close(),
    "fork": fork,
    "exec": execute,
    "signal": lambda: os.kill(parent, 0),
    "memory": lambda: len(bytearray(8 << 30)),
    "chown": lambda: os.chown("own", 12345, 12345),
    "environment": lambda: 1 / len(os.environ),
    "descriptor": lambda: os.fstat(leak),
    "core": lambda: 1 / resource.getrlimit(resource.RLIMIT_CORE)[0],
    "group": lambda: 1 / (os.getpgid(0) != os.getpid()),
    "see parent": lambda: 1 / parent,
}
worked = []
for name, attempt in attempts.items():
    try:
        attempt()
        worked.append(name)
    except (OSError, MemoryError, ZeroDivisionError):
        pass
os.write(3, json.dumps(worked).encode())
os._exit(0)
"""
POSIX_STOPS = {"environment", "descriptor", "core", "group", "memory", "big file"}


@pytest.fixture(scope="module")
def listeners():
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind("\0cadcoder-test")
        unix.listen()
        yield tcp.getsockname()[1]


@pytest.fixture
def probe(listeners, tmp_path):
    def worked(child_layers=(), namespaces=()):
        (tmp_path / "work").mkdir(exist_ok=True)
        (tmp_path / "secret").write_text("secret")
        job = json.dumps([child_layers, str(tmp_path / "work"), str(tmp_path / "secret"), listeners, namespaces])
        done = subprocess.run([sys.executable, "-c", PROBE, job], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return set(json.loads(done.stdout))

    return worked


def test_the_posix_layers(probe):
    worked = probe()
    assert not worked & POSIX_STOPS
    assert {
        "read outside",
        "write outside",
        "tcp",
        "unix",
        "fork",
        "exec",
        "signal",
        "write own",
        "read library",
    } <= worked


def test_landlock_alone_guards_files_tcp_abstract_sockets_and_signals(probe):
    try:
        version = landlock.abi()
    except OSError as error:
        pytest.skip(f"this kernel has no Landlock: {error}")
    worked = probe(["no_new_privs", "landlock"])
    stopped = {"read outside", "write outside"} | ({"tcp"} if version >= 4 else set())
    stopped |= {"unix", "signal"} if version >= 6 else set()
    assert not worked & stopped
    assert {"write own", "read library", "socket", "fork"} <= worked


def test_seccomp_alone_refuses_sockets_processes_and_signals(probe):
    worked = probe(["no_new_privs", "seccomp"])
    assert not worked & {"tcp", "unix", "socket", "fork", "exec", "signal"}
    assert {"write own", "read library", "read outside", "write outside"} <= worked


def test_capabilities_alone_take_root_its_powers(probe):
    assert "chown" not in probe(["capabilities"])


def test_namespaces_alone_hide_files_network_and_processes(probe):
    names = layers.NAMESPACE_SETS[0]
    enter = "from cadcoder.sandbox import layers as l; l.enter_namespaces(l.NAMESPACE_SETS[0])"
    done = subprocess.run([sys.executable, "-c", enter], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine allows no user namespaces: {done.stderr.strip().splitlines()[-1]}")
    worked = probe(namespaces=names)
    assert not worked & {"read outside", "write outside", "tcp", "unix", "see parent", "many files"}
    assert {"write own", "read library", "socket", "fork"} <= worked


def test_all_layers_leave_work_possible(probe):
    names = ["capabilities", "no_new_privs", "landlock", "seccomp", "pdeathsig"]
    assert probe(names) & {"write own", "read library"} == {"write own", "read library"}


def test_a_child_dies_with_its_parent(tmp_path):
    code = (
        "import os, time\nfrom cadcoder.sandbox import layers\nfrom cadcoder.sandbox.limits import Limits\n"
        "if os.fork() == 0:\n"
        "    os.dup2(1, 3)\n"
        f"    layers.confine(layers.Plan((), ('pdeathsig',), (), 3 << 30), Limits(), {str(tmp_path)!r})\n"
        "    os.write(3, b'%d' % os.getpid())\n"
        "    time.sleep(100)\n"
        "time.sleep(0.3)\nos._exit(0)\n"
    )
    # The pipe reaches its end only when the child, which holds it too, is gone.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert int(done.stdout) > 0


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_a_well_formed_program(machine):
    """Every jump stays inside, and every path ends in a return."""
    code = seccomp.program(1234, machine)
    count = len(code) // 8
    assert len(code) % 8 == 0 and count < 4096
    for index in range(count):
        kind, yes, no, _ = struct.unpack_from("=HBBI", code, 8 * index)
        if kind & 7 == 5:
            assert index + 1 + max(yes, no) < count
    assert struct.unpack_from("=H", code, len(code) - 8)[0] == 6


def test_a_machine_without_layers_is_refused():
    assert layers.lacking(("landlock", "seccomp"), ()) is None
    assert layers.lacking(("root_fs", "seccomp"), ()) is None
    assert "Landlock" in layers.lacking(("seccomp",), ())
    assert "seccomp" in layers.lacking(("landlock",), ())
    assert layers.lacking((), ("landlock", "seccomp")) is None
