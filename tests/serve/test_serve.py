"""``cadcoder serve`` as clients see it: OpenAI's own package, and raw sockets for what that would never send."""

from __future__ import annotations

import io
import json
import struct
import time
import zlib

import openai
import pytest
from openai import OpenAI
from serve_parts import DRAFT, RING, SLOW, Server, body, data_url, messages

from cadcoder.sandbox import Executor


@pytest.fixture(scope="module")
def client(server: Server) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key="secret", max_retries=0, timeout=60)


def runs(*scripts: str) -> bool:
    with Executor(workers=1) as executor:
        return all(executor.run(script).ok for script in scripts)


def test_the_usual_client_gets_a_script_that_runs(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="cadcoder",
        messages=messages(data_url()),
        seed=1,
        extra_body={"cadcoder": {"effort": 1, "size": "x=40mm"}},
    )
    (choice,) = answer.choices
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    script = choice.message.content
    assert script is not None
    assert script.startswith("import cadquery as cq\n")
    assert runs(script)
    facts = (choice.model_extra or {})["cadcoder"]
    assert (facts["outcome"], facts["unit"], facts["style"]) == ("ok", "mm", "editable")
    assert facts["extents"][0] == pytest.approx(40, rel=1e-3)
    assert facts["likeness"] > 0.8
    assert answer.id.startswith("chatcmpl-")
    assert abs(answer.created - time.time()) < 120
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 100
    assert answer.usage.completion_tokens > 5
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_streamed_and_whole_are_the_same(client: OpenAI) -> None:
    ask = {"model": "cadcoder", "messages": messages(data_url()), "seed": 3}
    whole = client.chat.completions.create(**ask)
    chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert [c.choices for c in chunks if c.usage] == [[]]
    assert chunks[-1].usage == whole.usage
    assert len({c.id for c in chunks}) == 1


def test_a_draft_comes_token_by_token(client: OpenAI) -> None:
    ask = {"model": "cadcoder", "messages": messages(data_url()), "extra_body": DRAFT}
    start = time.monotonic()
    times, text, last = [], "", None
    for chunk in client.chat.completions.create(**ask, stream=True):
        times.append(time.monotonic() - start)
        text += chunk.choices[0].delta.content or ""
        last = chunk.choices[0]
    assert len(times) > 8
    assert times[1] < times[-1]
    assert last is not None
    assert (last.finish_reason, (last.model_extra or {})["cadcoder"]["outcome"]) == ("stop", "ok")
    assert client.chat.completions.create(**ask).choices[0].message.content == text
    cut = client.chat.completions.create(**ask, max_completion_tokens=4)
    assert cut.choices[0].finish_reason == "length"
    assert text.startswith((cut.choices[0].message.content or "").rstrip("\n"))
    assert cut.usage is not None
    assert cut.usage.completion_tokens == 4


def test_several_choices_and_seeds(client: OpenAI) -> None:
    ask = {"model": "cadcoder", "messages": messages(data_url()), "extra_body": DRAFT}
    first, second = (
        [c.message.content for c in client.chat.completions.create(**ask, n=3, seed=seed).choices] for seed in (5, 5)
    )
    assert first == second
    assert len(set(first)) > 1
    greedy = [c.message.content for c in client.chat.completions.create(**ask, n=2, temperature=0, seed=9).choices]
    assert greedy == [first[0]] * 2
    sampled = client.chat.completions.create(**ask, n=2, temperature=1.5, seed=5)
    assert greedy[0] not in [c.message.content for c in sampled.choices]
    indices = [c.choices[0].index for c in client.chat.completions.create(**ask, n=2, stream=True)]
    assert indices == sorted(indices)
    assert set(indices) == {0, 1}
    two = client.chat.completions.create(model="cadcoder", messages=messages(data_url()), n=2)
    assert runs(*(c.message.content or "" for c in two.choices))


def test_several_pictures_of_one_part(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="cadcoder", messages=messages(data_url(), data_url()))
    assert runs(answer.choices[0].message.content or "")
    with pytest.raises(openai.BadRequestError, match="1 to 8 of the same part"):
        client.chat.completions.create(model="cadcoder", messages=messages(*[data_url()] * 9))


def test_the_last_user_message_counts(client: OpenAI) -> None:
    before = [*messages(data_url()), {"role": "assistant", "content": "import cadquery"}]
    answer = client.chat.completions.create(
        model="cadcoder", messages=[{"role": "system", "content": "Be brief."}, *before, *messages(data_url())]
    )
    assert answer.choices[0].finish_reason == "stop"
    with pytest.raises(openai.BadRequestError, match="no pictures"):
        client.chat.completions.create(model="cadcoder", messages=[*before, {"role": "user", "content": "Wider!"}])


def test_models(client: OpenAI, server: Server) -> None:
    assert [m.id for m in client.models.list()] == ["cadcoder"]
    assert client.models.retrieve("cadcoder").owned_by == "cadcoder"
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt-4o' here; this is 'cadcoder'"):
        client.chat.completions.create(model="gpt-4o", messages=messages(data_url()))


def test_keys(server: Server) -> None:
    wrong = OpenAI(base_url=f"{server.url}/v1", api_key="guess", max_retries=0)
    with pytest.raises(openai.AuthenticationError, match="show the server's key"):
        wrong.chat.completions.create(model="cadcoder", messages=messages(data_url()))
    for path in ("/v1/models", "/v1/models/cadcoder", "/metrics"):
        reply = server.ask("GET", path)
        assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert reply.error["code"] == "invalid_api_key"
    assert server.ask("POST", "/v1/chat/completions", body(), Authorization="Bearer s\u00e9cret").status == 401
    assert server.ask("GET", "/health").status == server.ask("GET", "/ready").status == 200


def grown(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes that claims to be that large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1/part.png", "must be a data: URL"),
        ("https://example.com/part.png", "this server fetches nothing"),
        ("file:///etc/passwd", "must be a data: URL"),
        ("data:image/png,abc", "must be base64"),
        ("data:image/png;base64,@@@", "not valid base64"),
        ("data:image/png;base64,", "empty"),
        (data_url(RING[:3000]), "damaged or cut off"),
        (data_url(b"%PDF-1.7 ..."), "it is a PDF"),
        (data_url(grown(60000, 60000)), "million"),
        (data_url(grown(8, 8)), "16 x 16 is the least"),
        ("x", "must be a data: URL"),
    ],
)
def test_pictures_that_are_refused(client: OpenAI, url: str, why: str) -> None:
    with pytest.raises(openai.BadRequestError, match=why) as error:
        client.chat.completions.create(model="cadcoder", messages=messages(url))
    assert error.value.param == "messages"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 0}, "n"),
        ({"n": 17}, "n"),
        ({"n": True}, "n"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"seed": 1.5}, "seed"),
        ({"seed": 10**40}, "seed"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": 3}, "stream_options"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"stop": ["\n"]}, "stop"),
        ({"logprobs": True}, "logprobs"),
        ({"messages": None}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [1]}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [None]}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages"),
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"cadcoder": []}, "cadcoder"),
        ({"cadcoder": {"drafter": 1}}, "cadcoder"),
        ({"cadcoder": {"effort": 9}}, "cadcoder"),
        ({"cadcoder": {"effort": "high"}}, "cadcoder"),
        ({"cadcoder": {"candidates": 65}}, "cadcoder"),
        ({"cadcoder": {"style": "rococo"}}, "cadcoder"),
        ({"cadcoder": {"size": "huge"}}, "cadcoder"),
    ],
)
def test_faulty_fields_are_named(server: Server, more: dict[str, object], param: str) -> None:
    reply = server.chat(**more)
    assert reply.status == 400
    assert reply.error["param"] == param
    assert reply.error["type"] == "invalid_request_error"


def test_neutral_fields_are_taken(server: Server) -> None:
    neutral = {
        "tools": [], "tool_choice": "auto", "response_format": {"type": "text"}, "stop": None, "logprobs": False,
        "frequency_penalty": 0.0, "user": "u", "metadata": {}, "store": False, "seed": -1, "top_p": 0,
    }  # fmt: skip
    reply = server.chat(**neutral, **DRAFT)
    assert reply.status == 200, reply.data


def test_what_is_no_chat_request(server: Server) -> None:
    key = {"Authorization": "Bearer secret"}
    path = "/v1/chat/completions"
    for data in (b"", b"{", b"[1]", b"\xff\xfe", b'{"a":' * 50_000):
        reply = server.ask("POST", path, data, **key)
        assert (reply.status, reply.error["code"]) == (400, "invalid_json")
    reply = server.ask("POST", path, b"a=1", **key, Content_Type="application/x-www-form-urlencoded")
    assert (reply.status, reply.error["code"]) == (415, "unsupported_media_type")
    reply = server.ask("GET", path, **key)
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert "Allow" in reply.error["message"]
    assert server.ask("POST", "/health", b"{}").status == 405
    assert server.ask("GET", "/v1/completions").error["message"] == "there is nothing at GET /v1/completions"
    assert server.ask("GET", "/v1/models/other", **key).status == 404


def test_a_script_that_never_runs_is_not_handed_over(server: Server) -> None:
    reply = server.chat(max_tokens=3)
    assert (reply.status, reply.error["code"]) == (422, "no_valid_script")
    assert reply.error["message"].startswith("none of the")


def test_bodies_over_the_limit(client: OpenAI, server: Server) -> None:
    with pytest.raises(openai.APIStatusError, match="larger than 1 MiB") as error:
        client.chat.completions.create(model="cadcoder", messages=messages(data_url(bytes(3 * 2**20))))
    assert error.value.status_code == 413
    # Refused by what it says of itself, before any of it has come.
    start = time.monotonic()
    with server.send("POST", "/v1/chat/completions", Authorization="Bearer secret", Content_Length=str(2**40)) as sent:
        sent.settimeout(10)
        assert sent.recv(12) == b"HTTP/1.1 413"
    # A body that does not say how long it is.
    with server.send(
        "POST", "/v1/chat/completions", Authorization="Bearer secret", Content_Length="", Transfer_Encoding="chunked"
    ) as sent:
        for _ in range(20):
            sent.sendall(b"%x\r\n" % 2**16 + bytes(2**16) + b"\r\n")
        assert sent.recv(12) == b"HTTP/1.1 413"
    assert time.monotonic() - start < 20
    assert server.within() == 0


def test_the_queue_overflows_and_clients_that_go_leave_it(server: Server) -> None:
    waiting = [server.start_chat(**SLOW) for _ in range(3)]
    try:
        server.wait_for(lambda: server.within() == 3, "three requests")
        reply = server.chat()
        assert (reply.status, reply.error["code"]) == (429, "queue_full")
        assert 1 <= int(reply.headers["retry-after"]) <= 600
        start = time.monotonic()
        assert server.ask("GET", "/health").status == 200
        assert time.monotonic() - start < 2
    finally:
        for connection in waiting:
            connection.close()
    server.wait_for(lambda: server.within() == 0, "the places of clients that are gone", 10)
    assert server.chat(**DRAFT).status == 200


def test_a_stream_shows_that_it_is_alive_and_ends_with_its_client(server: Server) -> None:
    with server.start_chat(**SLOW, stream=True) as connection:
        connection.settimeout(30)
        seen = b""
        while b": working" not in seen:
            seen += connection.recv(4096)
        assert seen.startswith(b"HTTP/1.1 200")
        assert b"text/event-stream" in seen
        assert server.within() == 1
    server.wait_for(lambda: server.within() == 0, "the place of a client that is gone", 10)
    reply = server.chat(stream=True, **DRAFT)
    events = [line[6:] for line in reply.data.decode().splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    assert all(json.loads(event)["object"] == "chat.completion.chunk" for event in events[:-1])


def test_errors_before_a_stream_are_statuses(server: Server) -> None:
    reply = server.chat(stream=True, max_tokens=3)
    assert (reply.status, reply.error["code"]) == (422, "no_valid_script")


def test_metrics(server: Server) -> None:
    reply = server.ask("GET", "/metrics", Authorization="Bearer secret")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = dict(line.rsplit(" ", 1) for line in reply.data.decode().splitlines() if not line.startswith("#"))
    assert int(values['cadcoder_requests_total{status="200"}']) >= 1
    assert int(values['cadcoder_tokens_total{kind="completion"}']) > 0
    assert (values["cadcoder_ready"], values["cadcoder_requests_within"]) == ("1", "0")


def test_one_connection_for_many_requests(server: Server) -> None:
    """A refusal leaves the connection as usable as an answer does."""
    data = json.dumps(body(n=0)).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer secret\r\nContent-Length: {len(data)}\r\n\r\n"
    ).encode()
    unknown = head.replace(b"secret", b"guess")
    with server.connect() as connection:
        connection.settimeout(10)
        for request, status in ((head, b"400"), (unknown, b"401"), (head, b"400")):
            connection.sendall(request + data)
            reply = io.BytesIO()
            while b'"error"' not in reply.getvalue() or not reply.getvalue().endswith(b"}"):
                reply.write(connection.recv(65536))
            assert reply.getvalue().startswith(b"HTTP/1.1 " + status)
