"""The layers on their own: what each stops, what the filter of calls decides, and what happens where one is missing."""

import json
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from cadcoder.sandbox import landlock, layers, linux, seccomp

pytestmark = pytest.mark.skipif(not linux.IS_LINUX, reason="the layers are Linux's")

# Runs in a fresh interpreter: confines itself with one plan, tries things, and prints what worked.
PROBE = """
import ctypes, errno, json, os, resource, signal, socket, sys
from cadcoder.sandbox import layers, linux
from cadcoder.sandbox.limits import Limits

child_layers, folder, secret, port, namespaces = json.loads(sys.argv[1])
assert "rlimits" in child_layers  # it allocates
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
if "root_fs" in namespaces:
    layers.fresh_work_folder(limits, False)
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
        child_layers = [*layers.POSIX_LAYERS, *child_layers]
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


def test_libraries_below_tmp_stay_in_sight_of_the_working_folder(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "module.py").write_text("here")
    code = (
        "import os, sys, tempfile\nfrom pathlib import Path\n"
        "from cadcoder.sandbox import layers\nfrom cadcoder.sandbox.limits import Limits\n"
        "layers.enter_namespaces(('user_ns', 'root_fs'))\n"
        f"layers.build_root({str(tmp_path / 'root')!r}, (sys.argv[1],) if sys.argv[1] else ())\n"
        "layers.own_work_folder()\nlayers.fresh_work_folder(Limits(), False)\n"
        "Path(layers.work_in_root, 'own').write_text('x')\n"
        "print(layers.work_in_root, sys.argv[1] and Path(sys.argv[1], 'module.py').read_text())\n"
    )
    if not str(tmp_path.resolve()).startswith("/tmp/"):
        pytest.skip("the tests' own folder is not below /tmp")
    found = []
    for library in ("", str(tmp_path / "library")):
        done = subprocess.run([sys.executable, "-c", code, library], capture_output=True, text=True)
        if "PermissionError" in done.stderr or "unshare" in done.stderr:
            pytest.skip(f"this machine allows no user namespaces: {done.stderr.strip().splitlines()[-1]}")
        found.append(done.stdout.split())
    assert found[0] == ["/tmp"]
    assert found[1][0] != "/tmp"
    assert found[1][1] == "here"


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
    assert layers.lacking({}, ()) is None
    assert layers.lacking({"user_ns": "no", "root_fs": "no"}, ()) is None
    fault = layers.lacking({"landlock": "switched off", "seccomp": "not built in"}, ())
    assert "landlock: switched off" in fault and "--unsafe-sandbox landlock,seccomp" in fault
    assert "seccomp" in layers.lacking({"landlock": "x", "seccomp": "y"}, ("landlock",))
    assert layers.lacking({"landlock": "x", "seccomp": "y"}, ("landlock", "seccomp", "root_fs")) is None


# Starts the executor where the kernel refuses one thing, which a filter of system calls of ours stands for.
REFUSING = """
import ctypes, os, sys
from cadcoder.sandbox import linux, seccomp
numbers = [int(n) for n in sys.argv[1].split(",") if n]
code = seccomp._statement(0x20, 0)
for n in numbers:
    code += seccomp._statement(0x15, n, 0, 1) + seccomp._statement(6, 0x50000 | 38)
code += seccomp._statement(6, 0x7FFF0000)
linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
buffer = ctypes.create_string_buffer(code, len(code))
argument = seccomp._Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p).value)
linux.prctl(linux.PR_SET_SECCOMP, 2, ctypes.addressof(argument))
from cadcoder.errors import SandboxUnavailable
from cadcoder.sandbox import Executor
try:
    with Executor(workers=1, without=[n for n in sys.argv[2].split(",") if n]) as pool:
        outcome = pool.run("import cadquery as cq\\nresult = cq.Workplane().box(1, 1, 1)", exports=())
        print(outcome.status, pool.strength, *sorted(pool.missing))
except SandboxUnavailable as error:
    print("refused", error, *sorted(error.missing))
"""


def start_without(numbers, without=""):
    done = subprocess.run(
        [sys.executable, "-c", REFUSING, ",".join(map(str, numbers)), without],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_fails_closed_where_the_kernel_has_no_landlock():
    text = start_without([444])
    assert text.startswith("refused") and "landlock: landlock_create_ruleset: Function not implemented" in text
    assert "--unsafe-sandbox landlock" in text


@pytest.mark.slow
def test_it_runs_without_landlock_when_told_to():
    assert start_without([444], "landlock").split() == ["ok", "reduced", "landlock"]


@pytest.mark.slow
def test_it_runs_without_namespaces_and_says_reduced():
    unshare = 272 if seccomp.platform.machine() == "x86_64" else 97
    status, strength, *missing = start_without([unshare]).split()
    assert (status, strength) == ("ok", "reduced")
    assert missing == sorted(layers.NAMESPACE_SETS[0])


@pytest.mark.slow
def test_another_system_runs_with_what_there_is(monkeypatch):
    """As on macOS: the plain POSIX layers only, and the result says so."""
    from cadcoder.sandbox import Executor, supervisor

    patched = "from cadcoder.sandbox import linux; linux.IS_LINUX = False; from cadcoder.sandbox.zygote"
    monkeypatch.setattr(
        supervisor, "_BOOTSTRAP", supervisor._BOOTSTRAP.replace("from cadcoder.sandbox.zygote", patched)
    )
    monkeypatch.setattr(linux, "IS_LINUX", False)
    with Executor(workers=1) as pool:
        outcome = pool.run("import cadquery as cq\nresult = cq.Workplane().box(1, 1, 1)", exports=())
        assert outcome.ok and outcome.layers == layers.POSIX_LAYERS
        assert pool.strength == "reduced" and outcome.to_json()["sandbox"] == "reduced"
        assert pool.missing["landlock"] == "only Linux has it"


def test_layers_to_do_without_must_exist():
    from cadcoder.errors import ConfigError
    from cadcoder.sandbox import policy

    with pytest.raises(ConfigError, match="no sandbox layer magic; there are user_ns"):
        policy.do_without(["landlock", "magic"])
    assert policy.left_out() == ()


# The calls of the filter by name, with their numbers, from the kernel's own headers.
HEADERS = {"x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "/usr/include/asm-generic/unistd.h"}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_numbers_are_the_kernels(machine):
    path = Path(HEADERS[machine])
    if not path.is_file():
        pytest.skip(f"no kernel headers in {path}")
    numbers = {
        name.removeprefix("3264_"): int(number)
        for name, number in re.findall(r"#define\s+__NR(?:3264)?_(\w+)\s+(\d+)", path.read_text())
    }
    if machine == "aarch64":  # asm-generic names the pair of 32 and 64 bits by the first
        numbers |= {"newfstatat": numbers["fstatat"]}
    column = 1 if machine == "x86_64" else 2
    for entry in (seccomp._ALLOWED + seccomp._PRETENDED).split():
        fields = entry.split(":")
        if fields[column] == "-":
            assert fields[0] not in numbers or machine == "x86_64"
        else:
            assert numbers[fields[0]] == int(fields[column]), fields
    checked = ("clone", "kill", "tgkill", "prctl", "prlimit64", "ioctl", "fcntl")
    for name, call in zip(checked, seccomp._CHECKED, strict=True):
        assert numbers[name] == call[column - 1]


def judged(code, arch, number, *arguments):
    """What a filter answers, by running it: the return value of classic BPF on a seccomp_data."""
    data = struct.pack("=iIQ6Q", number, arch, 0, *(*arguments, *[0] * 6)[:6])
    value, at = 0, 0
    while True:
        kind, yes, no, k = struct.unpack_from("=HBBI", code, 8 * at)
        at += 1
        if kind == 0x20:
            (value,) = struct.unpack_from("=I", data, k)
        elif kind == 0x06:
            return k
        else:
            assert kind in (0x15, 0x35, 0x45), hex(kind)
            true = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[kind]
            at += yes if true else no


ALLOW, KILL, EPERM, ENOSYS, PRETEND = 0x7FFF0000, 0x80000000, 0x50001, 0x50026, 0x50000


@pytest.mark.parametrize(("machine", "arch", "column"), [("x86_64", 0xC000003E, 0), ("aarch64", 0xC00000B7, 1)])
def test_the_filter_decides_as_it_should(machine, arch, column):
    code = seccomp.program(1, machine)

    def ask(numbers, *arguments):
        return judged(code, arch, numbers[column], *arguments)

    assert all(ask(pair) == ALLOW for pair in ((0, 63), (1, 64), (9, 222), (257, 56), (202, 98), (231, 94)))
    refused = {
        "socket": (41, 198),
        "connect": (42, 203),
        "sendmsg": (46, 211),
        "execve": (59, 221),
        "execveat": (322, 281),
        "ptrace": (101, 117),
        "process_vm_readv": (310, 270),
        "unshare": (272, 97),
        "setns": (308, 268),
        "mount": (165, 40),
        "memfd_create": (319, 279),
        "bpf": (321, 280),
        "keyctl": (250, 219),
        "perf_event_open": (298, 241),
        "userfaultfd": (323, 282),
        "mknodat": (259, 33),
        "shmget": (29, 194),
        "setuid": (105, 146),
        "chroot": (161, 51),
        "reboot": (169, 142),
    }
    assert {name: ask(pair) for name, pair in refused.items()} == dict.fromkeys(refused, EPERM)
    assert ask((268, 53)) == PRETEND and ask((280, 88)) == PRETEND
    # io_uring_setup, clone3, pidfd_open, mount_setattr: newer than the list, the same everywhere
    assert [ask((n, n)) for n in (425, 435, 434, 442)] == [ENOSYS] * 4
    clone = (56, 220)
    assert ask(clone, 0x3D0F00) == ALLOW and ask(clone, 17) == EPERM and ask(clone, 0x10000 | 0x10000000) == EPERM
    assert ask((62, 129), 1) == ALLOW and ask((62, 129), 2) == EPERM and ask((62, 129), 2**32 - 1) == EPERM
    assert ask((157, 167), 15) == ALLOW and ask((157, 167), 22) == EPERM
    assert ask((302, 261), 0) == ALLOW and ask((302, 261), 99) == EPERM
    assert ask((16, 29), 3, 0x5412) == 0x50019 and ask((72, 25), 3, 8) == EPERM
    assert judged(code, 0x40000003, 1) == KILL  # i386, and 32-bit ARM just so
    assert judged(code, 0x40000028, 1) == KILL
    if machine == "x86_64":
        assert judged(code, arch, 0x40000000 + 41) == KILL
