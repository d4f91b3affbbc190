from __future__ import annotations

import inspect
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from scoring_parts import BOX, BROKEN, RAISES, TURNED

from cadcoder.errors import InputError
from cadcoder.sandbox import Executor
from cadcoder.scoring.reward import Reward


@pytest.fixture
def reward(executor: Executor) -> Iterator[Reward]:
    made = Reward(valid=0.2, failure=-0.1)
    made._running = executor  # the one that runs already
    yield made
    made._running = None


def test_it_is_called_as_trl_calls_it(folder: Path, reward: Reward) -> None:
    logged: dict[str, object] = {}
    found = reward(
        prompts=["p"] * 4,
        completions=[f"Sure:\n```python\n{BOX}```", [{"role": "assistant", "content": TURNED}], BROKEN, RAISES],
        completion_ids=[[1]] * 4,
        truth=[str(folder / "true" / "a.stl")] * 3 + [None],
        truth_code=[None, None, None, BOX],
        difficulty=[1, 2, 3, 4],  # another column
        trainer_state=object(),
        log_extra=logged.__setitem__,
        log_metric=logged.__setitem__,
    )
    assert found == [pytest.approx(1, abs=1e-4), pytest.approx(1, abs=1e-4), -0.1, -0.1]
    assert logged["outcome"] == ["ok", "ok", "syntax_error", "exception"]
    assert (logged["valid_ratio"], logged["iou_best"]) == (0.5, pytest.approx(1, abs=1e-4))


def test_the_measure_can_be_chosen_and_what_is_missing_is_said(folder: Path, reward: Reward) -> None:
    reward.metric = "iou_raw"
    truth = [folder / "true" / "a.stl"]
    assert reward(completions=[TURNED], truth=truth) == [pytest.approx(0.2)]  # valid, but nowhere near
    with pytest.raises(InputError, match="no true part"):
        reward(completions=[BOX])
    with pytest.raises(InputError, match="as many"):
        reward(completions=[BOX, BOX], truth=truth)
    with pytest.raises(InputError, match="cannot be speed"):
        Reward(metric="speed")


def test_it_has_a_name_for_the_log_and_can_be_sent_to_another_process(reward: Reward) -> None:
    assert reward.__name__ == "cadcoder"
    copy = pickle.loads(pickle.dumps(reward))
    assert copy._running is None and copy.valid == 0.2
    kinds = {p.kind for p in inspect.signature(reward).parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD in kinds
