"""Checkpoint folders: transformers' own files, and ``cadcoder.json`` with what they do not hold.

A folder without ``cadcoder.json`` is read as a LLaVA trained the paper's way: square padding, the paper's prompt.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cadcoder.errors import InputError
from cadcoder.model.framing import SQUARE, Framing

#: The prompt that CAD-Coder was trained with (Doris et al., arXiv 2505.14646, section 3).
PAPER_PROMPT = (
    "Generate the CADQuery code needed to create the CAD for the provided image. Just the code, no other words."
)
#: The file beside ``config.json``.
CARD_FILE = "cadcoder.json"
#: The bank of programs beside it, where there is one (format: :mod:`cadcoder.refine.bank`).
BANK_FILE = "bank.npz"
#: Names that stand for a folder of the package.
NAMES = {"default": Path(__file__).parent / "default"}


@dataclass(frozen=True, slots=True)
class Card:
    """What a checkpoint was trained with.

    Attributes:
        prompt: text after the picture.
        framing: how pictures are framed.
        number_grid: step of the numbers in its scripts; None where they are free.
        recipe: name of the recipe.
        training: samples, stages, held-out loss and the like, for people.
    """

    prompt: str = PAPER_PROMPT
    framing: Framing = SQUARE
    number_grid: float | None = None
    recipe: str = ""
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def prompt_sha256(self) -> str:
        """Hash of the prompt's UTF-8 text."""
        return hashlib.sha256(self.prompt.encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write ``cadcoder.json``."""
        tree = {**asdict(self), "prompt_sha256": self.prompt_sha256}
        (folder / CARD_FILE).write_text(json.dumps(tree, indent=2, sort_keys=True) + "\n")


def read_card(folder: Path) -> Card:
    """Read ``cadcoder.json``, or return the paper's settings where there is none.

    Raises:
        InputError: if the file is faulty, or the prompt is not the one whose hash it holds.
    """
    path = folder / CARD_FILE
    if not path.exists():
        return Card()
    try:
        tree = json.loads(path.read_text())
        digest = tree.pop("prompt_sha256", None)
        card = Card(**{**tree, "framing": Framing(**tree["framing"])})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} is faulty ({error}); take the checkpoint's own file again") from None
    if digest is not None and digest != card.prompt_sha256:
        raise InputError(f"the prompt in {path} is not the one that the model was trained with (its hash differs)")
    return card


def find(name: str | Path) -> Path:
    """Return the folder of a checkpoint by path, or by name (``default``).

    Raises:
        InputError: if there is no checkpoint.
    """
    folder = NAMES.get(str(name), Path(name))
    if (folder / "config.json").is_file():
        return folder
    if str(name) in NAMES:
        raise InputError(
            f"this installation holds no {name!r} model (expected at {folder}); "
            "train one with: python -m train.run --config train/configs/default.yaml"
        )
    names = " or ".join(NAMES)
    raise InputError(f"{name} is no checkpoint: no config.json there; give a folder with one, or the name {names}")


def prompt_ids(processor: Any, prompt: str, image_token: str = "<image>") -> tuple[list[int], list[int]]:
    """Return the token ids before and after the picture, up to where the answer starts.

    With a chat template they are one user turn; without one, the picture and the prompt on lines of their own.
    """
    tokenizer = processor.tokenizer
    if getattr(processor, "chat_template", None) or getattr(tokenizer, "chat_template", None):
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    else:
        text = f"{tokenizer.bos_token or ''}{image_token}\n{prompt}\n"
    before, _, after = text.partition(image_token)
    ids: list[int] = tokenizer(before + image_token + after, add_special_tokens=False)["input_ids"]
    at = ids.index(tokenizer.convert_tokens_to_ids(image_token))
    return ids[:at], ids[at + 1 :]
