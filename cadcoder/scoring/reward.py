"""A reward for reinforcement learning: how near the part of each completion is to the true one.

``GRPOTrainer(reward_funcs=Reward(), train_dataset=...)`` with trl 1.x, whose data set has a column ``truth`` (the path
of a STEP, BREP or mesh file) or ``truth_code`` (a script that makes the part).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from cadcoder.errors import InputError
from cadcoder.scoring.tasks import unfenced
from cadcoder.scoring.truths import read_truth

if TYPE_CHECKING:
    from cadcoder.geometry.solid import Solid
    from cadcoder.sandbox import Executor, Outcome

#: A completion: a text, or (conversational) a list of messages with ``role`` and ``content``.
Completion: TypeAlias = str | Sequence[Mapping[str, Any]]

#: The measures that may be the reward, all in [0, 1].
METRICS = ("iou_best", "iou_aligned", "iou_raw", "iou_box")
#: True parts kept in memory.
KEPT = 512


class Reward:
    """A reward function with the signature that trl's ``GRPOTrainer`` takes.

    Called with ``prompts``, ``completions``, ``completion_ids``, ``trainer_state``, ``log_extra``, ``log_metric`` and
    the columns of the data set, all by keyword; returns a number for each completion: ``valid`` plus (1 - ``valid``)
    times the measure where the script leaves a valid solid, else ``failure``, and None, which trl leaves out, where the
    fault is ours.

    The executor starts with the first call and ends with :meth:`close` or the process; a pickled copy starts its own.

    Args:
        metric: one of ``METRICS``; ``iou_best`` costs about 10 ms a pair, ``iou_aligned`` four times that.
        valid: what a valid solid is worth by itself, from 0 to 1.
        failure: the reward of a script that leaves none.
        workers: scripts run at once.
        timeout: seconds for one script.
        strict_name: the only variable taken as the result; None for the usual names.

    Raises:
        InputError: if there is no such measure.
    """

    #: trl logs the reward under this name.
    __name__ = "cadcoder"

    def __init__(
        self,
        metric: str = "iou_best",
        valid: float = 0.0,
        failure: float = 0.0,
        workers: int = 2,
        timeout: float = 10.0,
        strict_name: str | None = None,
    ) -> None:
        if metric not in METRICS:
            raise InputError(f"the reward cannot be {metric}; it can be {', '.join(METRICS)}")
        self.metric, self.valid, self.failure = metric, valid, failure
        self.workers, self.timeout, self.strict_name = workers, timeout, strict_name
        self._running: Executor | None = None
        self._truths: dict[str, Solid] = {}

    def __call__(
        self,
        prompts: Sequence[Any] | None = None,
        completions: Sequence[Completion] = (),
        completion_ids: Sequence[Sequence[int]] | None = None,
        *,
        truth: Sequence[str | Path | None] | None = None,
        truth_code: Sequence[str | None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float | None]:
        """Return the reward of each completion, in order.

        Args:
            prompts: not used.
            completions: what the model wrote; the first fenced block counts, or all of it.
            completion_ids: not used.
            truth: the true parts' files, one for each completion.
            truth_code: scripts that make them, where there is no file.
            log_extra: trl's; gets the outcomes as a column of its table.
            log_metric: trl's; gets the valid ratio and the mean measure of the valid.

        Raises:
            InputError: if there is no true part for a completion, or it cannot be read.
        """
        n = len(completions)
        files, codes = truth or [None] * n, truth_code or [None] * n
        if not len(files) == len(codes) == n:
            raise InputError(f"{n} completions need as many true parts: a column truth or truth_code")
        truths = [self._truth(f, c) for f, c in zip(files, codes, strict=True)]
        scripts = (unfenced(_text(c)) for c in completions)
        outcomes = self._executor().imap(scripts, exports=(), strict_name=self.strict_name)
        status, measures = [], []
        rewards: list[float | None] = []
        for outcome, true in zip(outcomes, truths, strict=True):
            name, value = self._measure(outcome, true)
            status.append(name)
            if value is not None:
                measures.append(value)
                rewards.append(self.valid + (1 - self.valid) * value)
            else:
                rewards.append(None if name == "harness_error" else self.failure)
        if log_extra is not None:
            log_extra("outcome", status)
        if log_metric is not None and n:
            log_metric("valid_ratio", len(measures) / n)
            if measures:
                log_metric(self.metric, statistics.fmean(measures))
        return rewards

    def _measure(self, outcome: Outcome, truth: Solid) -> tuple[str, float | None]:
        """Return (outcome, measure or None)."""
        from cadcoder.geometry import metrics
        from cadcoder.geometry.fallback import solid_or_voxels

        if not outcome.ok:
            return outcome.status, None
        if outcome.vertices is None or outcome.faces is None:
            return "harness_error", None
        try:
            made = solid_or_voxels(outcome.vertices, outcome.faces)
            return "ok", float(getattr(metrics, self.metric)(made, truth))
        except InputError:
            return "harness_error", None

    def _truth(self, file: str | Path | None, code: str | None) -> Solid:
        if file is None and code is None:
            raise InputError("a completion has no true part: neither truth nor truth_code")
        key = str(file) if file is not None else f"code:{code}"
        if key not in self._truths:
            if len(self._truths) >= KEPT:
                self._truths.pop(next(iter(self._truths)))
            self._truths[key] = self._read(file, code)
        return self._truths[key]

    def _read(self, file: str | Path | None, code: str | None) -> Solid:
        if file is not None:
            return read_truth(Path(file), self._executor()).solid
        from cadcoder.geometry.fallback import solid_or_voxels

        outcome = self._executor().run(code or "", exports=())
        if not outcome.ok or outcome.vertices is None or outcome.faces is None:
            raise InputError(f"a true script makes no solid ({outcome.status}: {outcome.message})")
        return solid_or_voxels(outcome.vertices, outcome.faces)

    def _executor(self) -> Executor:
        if self._running is None:
            from cadcoder.sandbox import Executor

            self._running = Executor(workers=self.workers, timeout=self.timeout)
        return self._running

    def close(self) -> None:
        """End the executor's processes; the next call starts them again."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def __enter__(self) -> Reward:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_running": None}


def _text(completion: Completion) -> str:
    """Return the text of a completion; of a conversation, what its messages hold."""
    if isinstance(completion, str):
        return completion
    parts: list[str] = []
    for message in completion:
        content = message.get("content", "")
        if isinstance(content, str):
            parts.append(content)
        else:
            parts += [str(part.get("text", "")) for part in content or () if isinstance(part, Mapping)]
    return "\n".join(parts)
