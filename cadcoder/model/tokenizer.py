"""A tokenizer for CadQuery scripts: one token a number, long tokens for the text between numbers.

Byte-level BPE (Radford et al., 2019) in the ``tokenizers`` library, so that any UTF-8 text comes back unchanged.
A number with its sign, and with the comma and space before it, is one piece; every number of the grid that the
scripts are written on is a token of its own, so that a coordinate costs one token. The text between two numbers is
one piece too, without splits at white space, so that ``).hLineTo(`` is one token.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from cadcoder.errors import InputError

#: Special tokens in order of their ids. CLIP's text model reads an ``eos_token_id`` of 2 as "the largest id is the
#: end" (transformers, modeling_clip.py), so the end is not 2.
PAD, BOS, IMAGE, EOS = "<pad>", "<s>", "<image>", "</s>"
SPECIAL_TOKENS = (PAD, BOS, IMAGE, EOS)

#: A number with its sign, and the separator before it.
NUMBER = r"(?:, )?-?[0-9]+(?:\.[0-9]+)?"

#: Integers up to this size, and halves below :data:`HALVES`, are tokens of their own.
INTEGERS = 100
HALVES = 50


def grid_numbers() -> list[str]:
    """Return the number texts that are always one token, nearest to zero first."""
    values = [v / 2 for v in range(-2 * INTEGERS, 2 * INTEGERS + 1)]
    kept = [v for v in values if v == int(v) or abs(v) < HALVES]
    kept.sort(key=lambda v: (abs(v), v))
    return [str(int(v)) if v == int(v) else str(v) for v in kept]


def byte_alphabet() -> dict[int, str]:
    """Return GPT-2's table from a byte to the printable character that stands for it."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}


def spell(text: str) -> str:
    """Return the text as byte-level tokens spell it."""
    table = byte_alphabet()
    return "".join(table[b] for b in text.encode())


def train_tokenizer(texts: Iterable[str], vocab_size: int = 1536) -> Any:
    """Train a tokenizer on scripts.

    Args:
        texts: scripts; a few thousand are enough.
        vocab_size: number of tokens, specials, bytes and numbers included.

    Returns:
        A ``PreTrainedTokenizerFast`` with ``<pad>``, ``<s>``, ``<image>`` and ``</s>`` at ids 0 to 3.

    Raises:
        InputError: if there is no text, or the vocabulary has no room for bytes and numbers.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    number = re.compile(NUMBER)
    chunks: Counter[str] = Counter()
    for text in texts:
        chunks.update(c for c in number.split(text) if c)
    if not chunks:
        raise InputError("there is no text to train a tokenizer on; give it scripts")
    bytes_ = sorted(byte_alphabet().values())
    numbers = [spell(prefix + n) for n in grid_numbers() for prefix in ("", ", ")]
    fixed = list(dict.fromkeys([*SPECIAL_TOKENS, *bytes_, *numbers]))
    room = vocab_size - len(fixed)
    if room < 0:
        raise InputError(f"a vocabulary of {vocab_size} is too small; bytes and numbers alone need {len(fixed)}")

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=256 + room, initial_alphabet=bytes_, min_frequency=2, show_progress=False, special_tokens=[]
    )
    learner.train_from_iterator(_repeated(chunks), trainer)

    import json

    learnt = json.loads(learner.to_str())["model"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in learnt["merges"]]
    vocab = {token: i for i, token in enumerate(fixed)}
    for token, _ in sorted(learnt["vocab"].items(), key=lambda item: item[1]):
        vocab.setdefault(token, len(vocab))
    return wrap(vocab, merges)


def _repeated(chunks: Counter[str], most: int = 2000) -> Iterable[str]:
    """Yield every chunk as often as it occurs, the frequent ones scaled down to bound the work."""
    scale = max(1.0, max(chunks.values()) / most)
    for chunk, count in sorted(chunks.items()):
        for _ in range(max(1, round(count / scale))):
            yield chunk


def wrap(vocab: dict[str, int], merges: list[tuple[str, ...]]) -> Any:
    """Return the ``PreTrainedTokenizerFast`` of a byte-level vocabulary and its merges."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    # ignore_merges: a piece that is a token is taken whole, which is how the numbers stay whole without merges.
    backend = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=True))  # type: ignore[arg-type]
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(NUMBER), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL_TOKENS])
    kind: Any = PreTrainedTokenizerFast
    return kind(
        tokenizer_object=backend,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        extra_special_tokens={"image_token": IMAGE},
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=100_000,
    )
