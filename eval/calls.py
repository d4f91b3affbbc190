"""Calls that are paid once: from the cache, else within the budget, tried again where that helps, and kept at once.

Every call leaves two lines in ``calls.jsonl``, one before and one after, so that what was in flight when a run was
killed can be counted: it may have been billed, and its answer is lost.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cadcoder.errors import InputError
from eval.cache import Cache
from eval.client import Client, Fault, Reply, Request, record
from eval.money import MAX_TOKENS, Budget, Price, price_of, tokens_of
from eval.specs import Spec

if TYPE_CHECKING:
    from eval.teller import Teller

#: First wait before a call is tried again, the longest one, and the longest that a provider may ask for (seconds).
FIRST_WAIT, LONGEST_WAIT, LONGEST_ASKED = 1.0, 60.0, 900.0
#: Room in the budget for tokens that were counted too low.
MARGIN = Decimal("1.25")


class Ledger:
    """``calls.jsonl``: what was asked, when, and what came of it."""

    def __init__(self, path: Path) -> None:
        """Open it to write on.

        Raises:
            InputError: if it cannot be written.
        """
        self._lock = threading.Lock()
        try:
            self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115
            if self._file.tell() and not path.read_bytes().endswith(b"\n"):
                self._file.write("\n")  # half a line of a run that was killed
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from None

    def write(self, **line: Any) -> None:
        """Write a line before anything else is done."""
        with self._lock:
            self._file.write(json.dumps({"time": round(time.time(), 3), **line}) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_ledger(path: Path, cache: Cache | None = None) -> dict[str, int]:
    """Return how many calls were ``asked``, ``answered``, ``failed`` and ``lost``.

    Lost are those that were in flight when a run was killed, and whose answer is not in the cache either.
    """
    counts = dict.fromkeys(("asked", "answered", "failed", "lost"), 0)
    open_calls: set[str] = set()
    if not path.exists():
        return counts
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
            event, call = entry["event"], entry["call"]
        except (ValueError, KeyError, TypeError):
            continue
        if event in counts:
            counts[event] += 1
            (open_calls.add if event == "asked" else open_calls.discard)(call)
    counts["lost"] = sum(cache is None or cache.get(call.split(".")[0]) is None for call in open_calls)
    return counts


class Gate:
    """Holds a provider's limits: calls at once, calls a minute, and waits that it asks for."""

    def __init__(self, at_once: int, per_minute: float | None) -> None:
        """Take the limits."""
        self._slots = threading.Semaphore(at_once)
        self._space = 60.0 / per_minute if per_minute else 0.0
        self._lock = threading.Lock()
        self._next = 0.0
        self.stopped = threading.Event()

    def __enter__(self) -> Gate:
        self._slots.acquire()
        while not self.stopped.is_set():
            with self._lock:
                wait = self._next - time.monotonic()
                if wait <= 0:
                    self._next = max(self._next, time.monotonic()) + self._space
                    break
            self.stopped.wait(min(wait, 1.0))
        return self

    def __exit__(self, *_: object) -> None:
        self._slots.release()

    def pause(self, seconds: float) -> None:
        """Begin no call for a while."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class Stopped(Exception):
    """The run is ending; no further call is begun."""


@dataclass(frozen=True)
class Answered:
    """An answer, where it came from and what it cost.

    Attributes:
        reply: the answer.
        key: of the request.
        cost: dollars; None where the price is not known.
        cached: whether it was there before.
        tries: calls that it took.
    """

    reply: Reply
    key: str
    cost: Decimal | None
    cached: bool
    tries: int


class Caller:
    """Puts a model's questions; safe to use from several threads."""

    def __init__(
        self,
        spec: Spec,
        client: Callable[[], Client | Teller],
        cache: Cache,
        budget: Budget,
        ledger: Ledger,
        seed: int = 0,
    ) -> None:
        """Take the means; the client is opened with the first call that the cache cannot answer."""
        self.spec, self.cache, self.budget, self.ledger = spec, cache, budget, ledger
        self.price: Price = price_of(spec)
        self.gate = Gate(spec.get("at_once", 4), spec.get("per_minute"))
        self.tries = int(spec.get("tries", 6))
        self._open = client
        self._client: Client | Teller | None = None
        self._lock = threading.Lock()
        self._once: dict[str, threading.Lock] = {}
        self._chance = random.Random(seed)
        self.ended: Fault | None = None

    @property
    def client(self) -> Client | Teller:
        """The client, opened on first use."""
        with self._lock:
            if self._client is None:
                self._client = self._open()
            return self._client

    def call(self, request: Request) -> Answered:
        """Return the answer to a request.

        Raises:
            Fault: if none came; what passes has been tried as often as told.
            OverBudget: if the budget does not bear it.
            Stopped: if the run is ending.
        """
        key = request.key
        with self._lock:
            once = self._once.setdefault(key, threading.Lock())
        with once:  # two parts may ask the same question; the second finds the answer
            found = self.cache.get(key)
            if found is not None:
                return _kept(found, key)
            return self._paid(request, key)

    def _paid(self, request: Request, key: str) -> Answered:
        most = self.price.of(tokens_of(request.messages), dict(request.settings).get("max_tokens", MAX_TOKENS))
        held = self.budget.hold(most * MARGIN if most is not None else None)
        cost: Decimal | None = None
        try:
            fault = Fault("network", "no call was made")
            for attempt in range(1, self.tries + 1):
                with self.gate:
                    if self.gate.stopped.is_set():
                        raise self.ended or Stopped
                    try:
                        reply, cost = self._one(request, key, attempt)
                        return Answered(reply, key, cost, False, attempt)
                    except Fault as error:
                        fault = error
                if fault.ends:
                    self.ended = fault
                    self.gate.stopped.set()
                if not fault.passes or attempt == self.tries:
                    break
                self._wait(fault, attempt)
            raise fault
        finally:
            self.budget.settle(held, cost)

    def _one(self, request: Request, key: str, attempt: int) -> tuple[Reply, Decimal | None]:
        call = f"{key}.{os.getpid()}.{threading.get_ident() % 100000}.{attempt}"
        client = self.client
        self.ledger.write(event="asked", call=call, model=self.spec.label)
        try:
            reply = client.ask(request, attempt)
        except Fault as fault:
            self.ledger.write(event="failed", call=call, kind=fault.kind, status=fault.status, message=str(fault))
            raise
        cost = self.price.of(reply.tokens_in, reply.tokens_out)
        if not client.keeps:
            self.cache.put(key, record(request, reply, cost, attempt))
        spent = None if cost is None else str(cost)
        self.ledger.write(event="answered", call=call, cost=spent, tokens=[reply.tokens_in, reply.tokens_out])
        return reply, cost

    def _wait(self, fault: Fault, attempt: int) -> None:
        """Wait before the next try: as long as the provider says, else longer each time, never all at once."""
        if fault.retry_after is not None:
            if fault.retry_after > LONGEST_ASKED:
                raise fault
            self.gate.pause(fault.retry_after)
            return
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)) * (0.5 + self._chance.random() / 2)
        if fault.kind == "rate_limit":
            self.gate.pause(wait)
        else:
            self.gate.stopped.wait(wait)

    def stop(self) -> None:
        """Begin no further call; those in flight are waited for by whoever made them."""
        self.gate.stopped.set()

    def close(self) -> None:
        """End the connection."""
        self.stop()
        if self._client is not None:
            self._client.close()


def _kept(found: dict[str, Any], key: str) -> Answered:
    cost = found.get("cost")
    reply = Reply(**found["reply"])
    return Answered(reply, key, None if cost is None else Decimal(cost), True, int(found.get("tries", 1)))
