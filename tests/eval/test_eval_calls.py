"""Calls to providers: their protocols, what goes wrong, money, keys. Against a real server in this process."""

from __future__ import annotations

import logging
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest

pytest.importorskip("pydantic_ai", reason="the eval extra is not installed")

from eval_parts import KEY, spec_text

import eval.calls
from cadcoder.errors import ConfigError
from eval.cache import Cache
from eval.calls import Caller, Gate, Ledger, read_ledger
from eval.client import Client, Fault, Message, Request, scrub
from eval.hosted import read_reply
from eval.money import Budget, OverBudget, Price, estimate, price_of, read_budget
from eval.prompting import FOLDER, read_prompt
from eval.rehearsal import Rehearsal
from eval.specs import Spec, read_specs

PROVIDERS = ("openai", "anthropic", "gemini", "openrouter", "server")
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setattr(eval.calls, "FIRST_WAIT", 0.01)


def opened(provider: str, house: Rehearsal, *options: str) -> Spec:
    (spec,) = read_specs([spec_text(provider, house, *options)])
    return spec


def request(spec: Spec, text: str = "write", repeat: int = 0) -> Request:
    said = (
        Message("system", "You are a designer."),
        Message("user", "an example", (PNG,)),
        Message("assistant", "result = 1"),
        Message("user", text, (PNG,)),
    )
    return Request(spec.provider, spec.get("base_url"), spec.name or "rehearsal", said, (("max_tokens", 100),), repeat)


def caller(spec: Spec, folder: Path, budget: Budget | None = None) -> Caller:
    folder.mkdir(exist_ok=True)
    return Caller(
        spec, lambda: Client(spec), Cache(folder / "answers"), budget or Budget(None), Ledger(folder / "calls")
    )


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_protocol_and_what_goes_wrong(provider: str, tmp_path: Path) -> None:
    with Rehearsal(patience=2.0, retry_after=0.15) as house:
        spec = opened(provider, house, "timeout=0.6")
        client = Client(spec)
        expected = {"429": "rate_limit", "500": "server_error", "503": "server_error", "slow": "timeout"}
        for met, kind in {**expected, "cut": "network", "malformed": "malformed"}.items():
            house.script = [met]
            with pytest.raises(Fault) as caught:
                client.ask(request(spec))
            assert (caught.value.kind, caught.value.passes) == (kind, True)
            assert caught.value.retry_after == (0.15 if met == "429" else None)
        for met, finish in {"ok": "stop", "refusal": "refused", "empty": "stop", "truncated": "length"}.items():
            house.script = [met]
            reply = client.ask(request(spec))
            assert reply.finish == finish
            assert (reply.tokens_in, reply.tokens_out) == tuple(house.delivered[-1]["tokens"])
            assert bool(reply.text) is (met in ("ok", "truncated"))
            outcome = read_reply(reply.text, reply.finish).outcome
            assert outcome == {"ok": "", "refusal": "refused"}.get(met, met)
        sent = str(house.bodies[-1])
        assert "You are a designer." in sent and "an example" in sent and "result = 1" in sent
        assert sent.count("iVBOR") == 2  # both pictures, as base64
        client.close()


def test_what_passes_is_tried_again_and_an_answer_is_paid_once(tmp_path: Path) -> None:
    with Rehearsal(script=["500", "429", "cut", "malformed", "ok"], retry_after=0.3) as house:
        spec = opened("openai", house, "price=3/15", "timeout=5")
        first = caller(spec, tmp_path)
        answered = first.call(request(spec))
        assert (answered.tries, answered.cached) == (5, False)
        assert house.times[2] - house.times[1] >= 0.3  # Retry-After is honoured
        tokens = house.delivered[0]["tokens"]
        assert answered.cost == (Decimal(3) * tokens[0] + Decimal(15) * tokens[1]) / 1_000_000
        assert first.budget.spent == answered.cost
        again = caller(spec, tmp_path).call(request(spec))
        assert again.cached and again.reply == answered.reply and again.cost == answered.cost
        assert len(house.times) == 5 and len(house.delivered) == 1
        assert not first.call(request(spec, repeat=1)).cached  # the same asked once more is another question
        assert read_ledger(tmp_path / "calls") == {"asked": 6, "answered": 2, "failed": 4, "lost": 0}
        first.ledger.write(event="asked", call="killed here")
        assert read_ledger(tmp_path / "calls")["lost"] == 1


def test_it_gives_up_in_the_end_and_at_once_where_nothing_helps(tmp_path: Path) -> None:
    with Rehearsal(faults=1.0, kinds=["503"], key=KEY) as house:
        spec = opened("openai", house, "tries=3", "timeout=5")
        with pytest.raises(Fault, match="503"):
            caller(spec, tmp_path).call(request(spec))
        assert len(house.times) == 3
        (missing,) = read_specs([f"openai:missing,base_url={house.url}/v1"])
        with pytest.raises(Fault) as caught:
            caller(missing, tmp_path).call(request(missing))
        assert caught.value.kind == "no_model" and len(house.times) == 4


def test_a_provider_s_limits_are_held(tmp_path: Path) -> None:
    with Rehearsal(slow=0.15) as house:
        spec = opened("server", house, "at_once=3")
        means = caller(spec, tmp_path)
        threads = [threading.Thread(target=means.call, args=(request(spec, f"part {i}"),)) for i in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert house.busiest == 3 and len(house.delivered) == 9
    gate, start = Gate(at_once=4, per_minute=600), time.monotonic()
    for _ in range(4):
        with gate:
            pass
    assert time.monotonic() - start >= 0.3  # three spaces of a tenth of a second


def test_two_that_ask_the_same_pay_once(tmp_path: Path) -> None:
    with Rehearsal(slow=0.2) as house:
        spec = opened("server", house)
        means, found = caller(spec, tmp_path), []
        threads = [threading.Thread(target=lambda: found.append(means.call(request(spec)))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(house.times) == 1 and sorted(f.cached for f in found) == [False, True, True, True]


def test_the_budget_is_never_overrun(tmp_path: Path) -> None:
    with Rehearsal() as house:
        spec = opened("openai", house, "price=100/100")
        budget = Budget(Decimal("0.50"))
        means, spent = caller(spec, tmp_path, budget), Decimal(0)
        with pytest.raises(OverBudget):
            for i in range(50):
                spent += means.call(request(spec, str(i))).cost or 0
        assert 0 < spent == budget.spent <= Decimal("0.50") and budget.stopped
        assert spent == sum(Decimal(100) * sum(line["tokens"]) / 1_000_000 for line in house.delivered)
    waiting = Budget(Decimal(1))
    held = waiting.hold(Decimal("0.9"))
    threading.Timer(0.1, waiting.settle, (held, Decimal("0.1"))).start()
    start = time.monotonic()
    assert waiting.hold(Decimal("0.8")) == Decimal("0.8")  # waits for what was set aside and not needed
    assert time.monotonic() - start >= 0.09


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini"])
def test_the_key_is_in_no_error_log_or_file(
    provider: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with Rehearsal(key="another-key-altogether") as house:
        spec = opened(provider, house)
        with pytest.raises(Fault) as caught:
            caller(spec, tmp_path).call(request(spec))
        assert caught.value.kind == "key" and "[key]" in str(caught.value)
        house.key = None
        caller(spec, tmp_path).call(request(spec))
    screen = "".join(capfd.readouterr())
    written = "".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    for text in (str(caught.value), repr(caught.value), caplog.text, screen, written, repr(spec)):
        assert KEY not in text and KEY[:12] not in text and KEY[-8:] not in text
    assert scrub(f"wrong key {KEY[:12]}...{KEY[-8:]}", KEY) == "wrong key [key]...[key]"


def test_a_missing_key_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEMINI_API_KEY")
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    (spec,) = read_specs(["gemini:gemini-2.5-flash"])
    with pytest.raises(ConfigError, match="GEMINI_API_KEY or GOOGLE_API_KEY"):
        spec.key()
    (spec,) = read_specs(["http://localhost:1/v1,model=x,key_env=MY_KEY"])
    with pytest.raises(ConfigError, match="MY_KEY"):
        spec.key()


def test_models_that_cannot_be_read_are_told_all_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_specs(["openai:", "nobody", "openai:x,temperature=9,colour=red", "http://u:secret@h/v1", "box", "box"])
    text = str(caught.value)
    for part in (
        "names no model",
        "nobody",
        "temperature=9",
        "colour",
        "two models are called box",
        "must hold no key",
    ):
        assert part in text
    assert "secret" not in text
    (spec,) = read_specs(["openai:gpt-4o,prompt=few-shot,temperature=0,at_once=8"])
    assert spec.label == "gpt-4o (prompt=few-shot, temperature=0.0)" and spec.get("at_once") == 8


def test_prices_and_estimates() -> None:
    (known,) = read_specs(["openai:gpt-4o"])
    assert price_of(known) == Price(Decimal("2.5"), Decimal(10))
    unknown, here, given = read_specs(
        ["openai:no-such-model", "http://127.0.0.1:1/v1,model=a", "http://example.org/v1,model=b,price=1/2"]
    )
    assert not price_of(unknown).known and price_of(here).free and price_of(given) == Price(Decimal(1), Decimal(2))
    once = estimate(known, read_prompt("paper-plus"), [], 100)
    often = estimate(known, read_prompt("self-repair"), [], 100)
    assert once.calls == (100, 100) and often.calls == (100, 300)
    assert once.dollars[0] and often.dollars[1] and once.dollars[1]
    assert 0 < once.dollars[0] < once.dollars[1] < often.dollars[1]
    assert read_budget("$2.50") == Decimal("2.50") and read_budget("none") is None
    with pytest.raises(ConfigError, match="--budget"):
        read_budget("much")


def test_every_prompt_is_sound_and_faults_are_told(tmp_path: Path) -> None:
    prompts = [read_prompt(path.stem) for path in FOLDER.glob("*.yaml")]
    assert len({p.sha for p in prompts}) == len(prompts) >= 8 and all(p.user and p.about for p in prompts)
    bad = tmp_path / "bad.yaml"
    bad.write_text("user: hello\nrepairs: 2\nlooks: yes\nnoise: 1\n")
    with pytest.raises(ConfigError) as caught:
        read_prompt(str(bad))
    assert all(word in str(caught.value) for word in ("noise", "looks must be int", "repairs needs repair"))
    with pytest.raises(ConfigError, match="there are cadbench"):
        read_prompt("nothing")
