"""Runs attacks in the whole executor, and tells what came of them and what was left; itself a disposable process.

Reads a JSON object from standard input (``names``, ``outside``, ``without``, ``workers``, ``timeout``) and prints one.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sandbox_attacks import ATTACKS, CANARY, SECRET

from cadcoder.sandbox import Executor

BOX = "import cadquery as cq\nsolid = cq.Workplane().box(1, 2, 3)"
SHARED_KEY = 0x5EC2E7
#: Seconds for an attack that ran out of its time and should have ended otherwise, the second time.
PATIENCE = 20.0


def descendants(root: int) -> dict[int, str]:
    """The processes below ``root`` and their states."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    children: dict[int, list[tuple[int, str]]] = {}
    for line in table.splitlines():
        pid, parent, state = line.split()
        children.setdefault(int(parent), []).append((int(pid), state))
    found: dict[int, str] = {}
    todo = [root]
    while todo:
        for pid, state in children.get(todo.pop(), []):
            found[pid] = state
            todo.append(pid)
    return found


@contextlib.contextmanager
def targets(outside: Path) -> Iterator[dict[str, object]]:
    """Servers that attacks try to reach, with a list of what reached them, and a process that they try to kill."""
    abstract = f"cadcoder-attack-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        path = stack.enter_context(socket.socket(socket.AF_UNIX))
        path.bind(str(outside / "listener"))
        hidden = stack.enter_context(socket.socket(socket.AF_UNIX))
        hidden.bind("\0" + abstract)
        canary = subprocess.Popen(["sleep", "1000"])
        try:
            for server in (path, hidden):
                server.listen()
            for server in (tcp, udp, path, hidden):
                server.setblocking(False)
            yield {
                "tcp": tcp.getsockname()[1],
                "udp": udp.getsockname()[1],
                "abstract": abstract,
                "canary": canary.pid,
                "shm": SHARED_KEY,
                "reached": lambda: [name for name, s in _named(tcp, udp, path, hidden) if _heard(s)],
                "canary_alive": lambda: canary.poll() is None,
            }
        finally:
            canary.kill()
            canary.wait()
            (outside / "listener").unlink(missing_ok=True)


def _named(*servers: socket.socket) -> Iterator[tuple[str, socket.socket]]:
    return zip(("tcp", "udp", "path", "abstract"), servers, strict=True)


def _heard(server: socket.socket) -> bool:
    try:
        if server.type == socket.SOCK_DGRAM:
            return bool(server.recv(100))
        server.accept()[0].close()
        return True
    except BlockingIOError:
        return False


def state(outside: Path) -> dict[str, Any]:
    """What an attack could have changed outside."""
    segments = [Path(p).read_text() for p in ("/proc/sysvipc/msg", "/proc/sysvipc/sem", "/proc/sysvipc/shm")]
    return {
        "outside": sorted((p.name, p.stat().st_mode, p.stat().st_size, p.stat().st_mtime) for p in outside.iterdir()),
        "secret": (outside / "secret.txt").read_text(),
        "host": socket.gethostname(),
        "ipc": [text for text in segments if "6209255" in text],
        "here": os.getcwd(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "limits": _limits(),
    }


def _limits() -> list[tuple[int, int]]:
    import resource

    return [resource.getrlimit(kind) for kind in range(10)]


def main() -> None:
    job = json.load(sys.stdin)
    outside = Path(job["outside"])
    (outside / "secret.txt").write_text(SECRET)
    os.environ[CANARY] = "x"
    chosen = [ATTACKS[name] for name in job["names"]]
    with targets(outside) as names:
        words = {key: value for key, value in names.items() if not callable(value)}
        codes = [attack.code(**words, outside=outside, home=Path.home()) for attack in chosen]
        with Executor(
            workers=job["workers"], timeout=job["timeout"], memory_mb=256, without=job["without"]
        ) as executor:
            assert executor.run(BOX, exports=()).ok
            before = state(outside)
            start = time.monotonic()
            outcomes = executor.run_many(codes, exports=())
            usual = executor.limits
            executor.limits = replace(usual, seconds=PATIENCE)
            for k, (attack, outcome) in enumerate(zip(chosen, outcomes, strict=True)):
                if outcome.status == "timeout" and "timeout" not in attack.expect:  # a busy machine: once more, alone
                    outcomes[k] = executor.run(codes[k], exports=())
            executor.limits = usual
            seconds = time.monotonic() - start
            after_box = executor.run(BOX, exports=())
            servers = len(executor._servers.queue)
            busy = sum(server is not None for server in executor._servers.queue)
            processes = descendants(executor._zygote._process.pid)
            folder = Path(executor._zygote.folder)
            in_folder = [p.name for p in folder.iterdir()]
            janitor = executor._zygote._process.pid
            after = state(outside)
        closed = state(outside)
        report = {
            "rows": {a.name: {**o.to_json(), "output": o.output} for a, o in zip(chosen, outcomes, strict=True)},
            "layers": list(executor.layers),
            "seconds": seconds,
            "after_ok": after_box.ok and abs((after_box.volume or 0) - 6) < 1e-9,
            # A worker's server holds one descriptor in this process; workers not needed before have come since.
            "changed": [k for k in before if before[k] != after[k] and k != "descriptors"],
            "descriptors": [before["descriptors"], after["descriptors"], closed["descriptors"]],
            "servers": [servers, busy],
            "processes": len(processes),
            "zombies": [pid for pid, word in processes.items() if word.startswith("Z")],
            "in_folder": in_folder,
            "folder_gone": not folder.exists(),
            "janitor_gone": not os.path.exists(f"/proc/{janitor}"),
            "reached": names["reached"](),  # type: ignore[operator]
            "canary_alive": names["canary_alive"](),  # type: ignore[operator]
        }
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
