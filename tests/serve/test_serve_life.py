"""A server's start and end: ports, loading, time limits, signals, and nothing left behind."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest
from serve_parts import DRAFT, SLOW, Reply, Server


def serve(*args: str) -> tuple[int, str]:
    """Run a server that is expected to end by itself."""
    command = [sys.executable, "-c", "from cadcoder.cli.main import run; run()", "serve", *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
    return done.returncode, done.stderr


def gone(pids: set[int]) -> bool:
    def lives(pid: int) -> bool:
        try:
            with open(f"/proc/{pid}/stat") as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    return not any(lives(pid) for pid in pids)


def test_a_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, err = serve("--port", str(port))
    assert code == 2
    assert err == (
        f"error: port {port} of 127.0.0.1 cannot be used (address already in use); choose another with --port\n"
    )


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--host", "no.such.host.invalid"], "there is no address 'no.such.host.invalid'"),
        (["--model", "/no/such/model"], "/no/such/model is no checkpoint"),
        (["--api-key", " "], "the API key must not be empty"),
        (["--timeout", "-1", "--grace", "-1"], "the timeout must be above 0 s, not -1.0; the grace"),
    ],
)
def test_options_that_cannot_be(args: list[str], why: str) -> None:
    code, err = serve("--port", "0", *args)
    assert code == 2
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    assert why in err


def test_a_model_that_cannot_be_loaded(tmp_path) -> None:
    (tmp_path / "config.json").write_text("{}")
    code, err = serve("--port", "0", "--model", str(tmp_path))
    assert code == 2
    assert err.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in err


def test_without_the_extra() -> None:
    code = (
        "import sys\nsys.modules['uvicorn'] = None\nsys.argv = ['cadcoder', 'serve']\n"
        "from cadcoder.cli.main import run\nrun()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: the server needs Starlette and uvicorn; install them: pip install 'cadcoder[serve]'\n"
    )


def test_from_loading_to_a_timeout_to_the_end() -> None:
    server = Server("--effort", "0", "--timeout", "6", "--grace", "20", "--device", "cpu")
    try:
        # It answers while the model is loaded.
        assert server.ask("GET", "/health").status == 200
        reply = server.ask("GET", "/ready")
        assert (reply.status, reply.json["status"]) == (503, "not ready")
        reply = server.chat()
        assert (reply.status, reply.error["type"]) == (503, "service_unavailable_error")
        assert reply.headers["retry-after"]
        server.ready()
        assert server.ask("GET", "/ready").status == 200

        # A request that takes too long is told so, and the next one need not wait for it.
        start = time.monotonic()
        reply = server.chat(**SLOW)
        assert (reply.status, reply.error["type"]) == (504, "timeout_error")
        assert 5.5 < time.monotonic() - start < 20
        assert server.chat(**DRAFT).status == 200
        reply = server.chat(**SLOW, stream=True)
        assert reply.status == 200
        assert b'"type": "timeout_error"' in reply.data
        assert b"[DONE]" not in reply.data

        # Told to end, it finishes what it has, takes no more, and leaves no process.
        children = server.children()
        assert len(children) >= 2
        with server.start_chat(**SLOW):
            last = server.start_chat(**DRAFT)
            server.wait_for(lambda: server.within() == 2, "two requests")
            server.signal()
            server.wait_for(lambda: server.ask("GET", "/ready").status == 503, "refusal")
            assert server.ask("GET", "/health").status == 200
            assert server.chat().error["message"] == "the server is ending"
        assert Reply(last).status == 200
        assert server.process.wait(20) == 0
        assert server.log[-1] == "stopped"
        limit = time.monotonic() + 5
        while not gone(children) and time.monotonic() < limit:
            time.sleep(0.05)
        assert gone(children)
        assert not any("Traceback" in line for line in server.log)
    finally:
        server.close()
