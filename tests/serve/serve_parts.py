"""A server as its users start it, and requests as their clients send them."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RING = (ROOT / "examples" / "spacer_ring.png").read_bytes()
#: Sixteen long searches: nobody waits for this in a test.
SLOW = {"n": 16, "cadcoder": {"effort": 3, "candidates": 32}}
#: The model's tokens as they come.
DRAFT = {"cadcoder": {"effort": 0, "style": "raw"}}


def data_url(data: bytes = RING, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def messages(*urls: str, text: str = "What is this as CadQuery?") -> list[Any]:
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [{"type": "text", "text": text}, *images]}]


def body(**more: Any) -> dict[str, Any]:
    return {"model": "cadcoder", "messages": messages(data_url()), **more}


class Server:
    """``cadcoder serve`` in a process of its own, on a free port, ready when this returns."""

    def __init__(self, *args: str) -> None:
        command = [sys.executable, "-c", "from cadcoder.cli.main import run; run()", "serve", "--port", "0", *args]
        # A group of its own, so that signals reach only this process and not its children by way of ours.
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.log: list[str] = []
        self.port = 0
        threading.Thread(target=self._read, daemon=True).start()
        self.wait_for(lambda: any(line.startswith("listening on ") for line in self.log), "the port")
        self.port = int(self.log[0].split(",")[0].rsplit(":", 1)[1])

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))

    def wait_for(self, what: Any, name: str, seconds: float = 200) -> None:
        limit = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < limit, f"waited for {name} in vain: {self.log}"
            assert self.process.poll() is None or name == "its end", f"ended: {self.log}"
            time.sleep(0.02)

    def ready(self) -> Server:
        self.wait_for(lambda: "ready" in self.log, "readiness")
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def send(self, method: str, path: str, data: bytes = b"", **headers: str) -> socket.socket:
        """Send a request and return its socket."""
        connection = self.connect()
        shown = {
            "Host": "x",
            "Content-Length": str(len(data)),
            "Connection": "close",
            "Content-Type": "application/json",
        }
        shown |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in shown.items() if value)
        connection.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + data)
        return connection

    def ask(self, method: str, path: str, data: bytes | dict[str, Any] = b"", **headers: str) -> Reply:
        if isinstance(data, dict):
            data = json.dumps(data).encode()
        return Reply(self.send(method, path, data, **headers))

    def chat(self, **more: Any) -> Reply:
        return self.ask("POST", "/v1/chat/completions", body(**more), Authorization="Bearer secret")

    def start_chat(self, **more: Any) -> socket.socket:
        data = json.dumps(body(**more)).encode()
        return self.send("POST", "/v1/chat/completions", data, Authorization="Bearer secret")

    def within(self) -> int:
        return int(self.ask("GET", "/ready").json["within"])

    def children(self) -> set[int]:
        """Return the process ids of all its descendants."""
        parents: dict[int, int] = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                except (OSError, ValueError, IndexError):
                    continue
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found - {self.process.pid}

    def signal(self, number: int = signal.SIGTERM) -> None:
        os.kill(self.process.pid, number)

    def close(self) -> int:
        """End it, at once, and return its exit code."""
        if self.process.poll() is None:
            self.signal()
            self.signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


class Reply:
    """A response, read to its end."""

    def __init__(self, connection: socket.socket) -> None:
        parts = []
        with connection:
            while part := connection.recv(65536):
                parts.append(part)
        head, _, data = b"".join(parts).partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines[1:])}
        if self.headers.get("transfer-encoding") == "chunked":
            data = _joined(data)
        self.data = data

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert "\n" not in error["message"]
        assert "Traceback" not in error["message"]
        return error


def _joined(data: bytes) -> bytes:
    out = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size, 16)
        out, data = out + rest[:length], rest[length + 2 :]
        if not length:
            break
    return out
