"""Every layer alone stops its own attacks, and without it they work: a layer that died silently fails here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox_attacks import ATTACKS

from cadcoder.sandbox import layers, linux

pytestmark = pytest.mark.skipif(not linux.IS_LINUX, reason="the layers are Linux's")
HARNESS = Path(__file__).parent / "sandbox_ablation.py"
PAIRS = [(layer, name) for layer in layers.LAYERS for name, attack in ATTACKS.items() if layer in attack.alone]
#: As many attacks of each layer are tried in every run; all of them in a slow one.
QUICK = 2


def quick():
    """Some pairs of each layer, with as few attacks as do, for each needs a run without any layer too."""
    chosen = []
    by_breadth = sorted(ATTACKS.values(), key=lambda attack: -len(attack.alone))
    for layer in layers.LAYERS:
        chosen += [(layer, attack.name) for attack in by_breadth if layer in attack.alone][:QUICK]
    return chosen


def outcomes(pairs, known=()):
    """How each attack was seen to work, by (layer, attack), and, if not ``known``, by (None, attack) without any."""
    controls = [(None, name) for name in sorted({name for _, name in pairs})]
    jobs = [*pairs, *(job for job in controls if job not in known)]
    text = json.dumps([[name, [layer] if layer else []] for layer, name in jobs])
    done = subprocess.run([sys.executable, HARNESS], input=text, capture_output=True, text=True, timeout=900)
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(f"no namespaces to try attacks in: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return dict(zip(jobs, json.loads(done.stdout), strict=True))


def check(found):
    stopped, let_through, no_control = set(), [], []
    for (layer, name), seen in found.items():
        if layer is None:
            continue
        if found[None, name] is None:
            no_control.append(name)  # it needs a power that this user or kernel has not
        elif seen is None:
            stopped.add(layer)
        else:
            let_through.append((layer, name, seen))
    assert let_through == []
    return stopped, no_control


def test_every_layer_has_attacks_of_its_own():
    assert {layer for layer, _ in PAIRS} == set(layers.LAYERS)
    assert all(set(attack.alone) <= set(layers.LAYERS) for attack in ATTACKS.values())


@pytest.fixture(scope="module")
def some():
    """What came of the quick pairs; the slow test tries the others."""
    return outcomes(quick())


def test_each_layer_alone_stops_some_of_its_attacks(some):
    stopped, no_control = check(some)
    needed = set(layers.LAYERS)
    if linux.IS_LINUX and no_control:
        needed -= {layer for layer, name in quick() if name in no_control}
    assert stopped >= needed and len(no_control) <= 3, no_control


@pytest.mark.slow
def test_each_layer_alone_stops_all_of_its_attacks(some):
    found = some | outcomes([pair for pair in PAIRS if pair not in some], known=some)
    assert found.keys() >= set(PAIRS)
    stopped, no_control = check(found)
    assert stopped >= set(layers.LAYERS) - {"user_ns", "capabilities", "no_new_privs"}  # these three may need root
    assert len(no_control) <= 5, no_control
