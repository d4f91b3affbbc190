"""A loaded checkpoint: pictures to scripts, and pictures to vectors.

The decoding loop is our own, over transformers' model and cache, because what is wanted is unusual for its
``generate``: for every picture one greedy script and many sampled ones in one batch, reproducible by seed whatever
else is in the batch, with the picture and the prompt computed once for all of them.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cadcoder.errors import InputError
from cadcoder.model.checkpoint import Card, find, prompt_ids, read_card
from cadcoder.model.framing import frame
from cadcoder.model.stream import Step, Steps, TextStream, Written

#: Checkpoints up to this many bytes are computed in fp32 on a CPU: exact, and no slower where bf16 is emulated.
SMALL = 1_000_000_000
#: Sequences decoded at a time, unless told otherwise.
ROWS = 128


class Model:
    """A LLaVA checkpoint, ready to write scripts.

    Attributes:
        name: what it was asked for by.
        folder: where it was loaded from.
        card: what it was trained with.
    """

    def __init__(self, name: str, folder: Path, card: Card, model: Any, processor: Any) -> None:
        """Take loaded parts; use :meth:`load`."""
        self.name, self.folder, self.card = name, folder, card
        self._model, self._processor = model, processor
        self._before, self._after = prompt_ids(processor, card.prompt)
        text = model.config.text_config
        self.max_length = int(text.max_position_embeddings)
        size = processor.image_processor.crop_size
        self.image_size = int(size["height"])
        self._small = model.device.type == "cpu" and sum(p.numel() for p in model.parameters()) < SMALL // 4
        ends = model.generation_config.eos_token_id
        if ends is None:
            ends = processor.tokenizer.eos_token_id
        self._ends = [ends] if isinstance(ends, int) else list(ends)

    @classmethod
    def load(cls, name: str | os.PathLike[str] | None = None, device: str | None = None) -> Model:
        """Load a checkpoint.

        Args:
            name: a folder, or a name (``default``); None is the default model.
            device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; None or ``auto`` takes a GPU where there is one.

        Raises:
            InputError: if there is no such checkpoint or device, or its files are faulty.
        """
        wanted = "default" if name is None else os.fspath(name)
        folder = find(wanted)
        card = read_card(folder)
        with _imports_without_collection():
            import torch
            from transformers import LlavaForConditionalGeneration, LlavaProcessor
            from transformers.utils import logging as quiet

        place = pick_device(device)
        bytes_ = sum(p.stat().st_size for p in folder.glob("*.safetensors"))
        dtype = torch.float32 if place.type == "cpu" and bytes_ <= SMALL else torch.bfloat16
        bars: Any = quiet
        shown = bars.is_progress_bar_enabled()
        bars.disable_progress_bar()
        try:
            model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=dtype, local_files_only=True)
            processor = LlavaProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
            raise InputError(f"the checkpoint {folder} cannot be loaded: {_line(error)}") from None
        except Exception as error:
            # safetensors has an exception of its own that derives from Exception directly.
            if type(error).__name__ != "SafetensorError":
                raise
            raise InputError(f"the weights in {folder} are damaged: {_line(error)}") from None
        finally:
            if shown:
                bars.enable_progress_bar()
        return cls(wanted, folder, card, model.to(place).eval(), processor)

    def candidates(
        self,
        image: Image.Image,
        n: int = 1,
        seed: int = 0,
        max_new_tokens: int | None = None,
        temperature: float = 1.0,
        top_p: float = 0.95,
        watch: Callable[[Step], None] | None = None,
        first: int = 0,
    ) -> list[str]:
        """Return ``n`` scripts for a picture: the first greedy, the others sampled.

        Args:
            image: the picture; framed as the checkpoint was trained.
            n: number of scripts, at least 1; the same script may come twice.
            seed: of the sampling.
            max_new_tokens: longest script; None is what the model's positions leave, at most 1024.
            temperature: of the sampling; above 0.
            top_p: tokens are drawn from the smallest set with this probability (nucleus sampling).
            watch: called with the (script, token id) pairs of every step as they are written; what it raises stops the
                writing.
            first: index of the first script: 1 leaves the greedy one out.

        Raises:
            InputError: if a number is out of range.
        """
        return self.candidates_batch([image], n, seed, max_new_tokens, temperature, top_p, ROWS, watch, first)[0]

    def stream(
        self,
        image: Image.Image,
        candidate: int = 0,
        seed: int = 0,
        max_new_tokens: int | None = None,
        temperature: float = 1.0,
        top_p: float = 0.95,
    ) -> TextStream:
        """Return an iterator over pieces of one script's text, each as soon as the model has written it.

        The pieces, joined, are the script that :meth:`candidates` returns at index ``candidate`` for the same picture
        and seed (but for rounding, and for words before a Markdown fence: :class:`cadcoder.model.stream.Tidy`).

        Args:
            image: the picture.
            candidate: 0 is the greedy script, the others are sampled.
            seed: of the sampling.
            max_new_tokens: longest script.
            temperature: of the sampling.
            top_p: of the sampling.

        Raises:
            InputError: if a number is out of range.
        """
        _check(candidate + 1, temperature, top_p, max_new_tokens)
        steps = self._steps([image], [candidate], seed, max_new_tokens, temperature, top_p)
        return TextStream(steps, self._processor.tokenizer)

    def written(self) -> Written:
        """Return what makes text of one script's tokens while they come, as ``watch`` sees them."""
        return Written(self._processor.tokenizer)

    @property
    def prompt_tokens(self) -> int:
        """Number of tokens before a script: the prompt's and the picture's."""
        return len(self._before) + len(self._after) + int(self._model.config.image_seq_length)

    def candidates_batch(
        self,
        images: Sequence[Image.Image],
        n: int = 1,
        seed: int = 0,
        max_new_tokens: int | None = None,
        temperature: float = 1.0,
        top_p: float = 0.95,
        rows: int = ROWS,
        watch: Callable[[Step], None] | None = None,
        first: int = 0,
    ) -> list[list[str]]:
        """Return ``n`` scripts for each of several pictures, ``rows`` sequences decoded at a time.

        What a picture gets does not depend on the others (but for rounding). See :meth:`candidates`.
        """
        _check(n, temperature, top_p, max_new_tokens)
        tokenizer = self._processor.tokenizer
        found: list[list[str]] = []
        step = max(1, rows // n)
        for start in range(0, len(images), step):
            part = images[start : start + step]
            written: list[list[int]] = [[] for _ in range(len(part) * n)]
            for tokens in self._steps(part, range(first, first + n), seed, max_new_tokens, temperature, top_p):
                for row, token in tokens:
                    written[row].append(token)
                if watch is not None:
                    watch(tokens)
            for ids in (written[i * n : (i + 1) * n] for i in range(len(part))):
                found.append([clean(t) for t in tokenizer.batch_decode(ids, skip_special_tokens=True)])
        return found

    def embed(self, image: Image.Image) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return a unit vector of the picture for retrieval: the mean of its projected features (width,)."""
        import torch

        with torch.inference_mode():
            mean = self._features([image])[0].float().mean(dim=0)
            unit: np.ndarray[Any, np.dtype[np.float32]] = torch.nn.functional.normalize(mean, dim=0).cpu().numpy()
        return unit

    def framed(self, image: Image.Image) -> Image.Image:
        """Return the picture as the vision tower sees it."""
        return frame(image, self.image_size, self.card.framing)

    def _features(self, images: Sequence[Image.Image]) -> Any:
        """Return the projected features (pictures, image tokens, width)."""
        import torch

        model = self._model
        pixels = self._processor.image_processor([self.framed(i) for i in images], return_tensors="pt")["pixel_values"]
        features = model.get_image_features(
            pixel_values=pixels.to(model.device, model.dtype),
            vision_feature_layer=model.config.vision_feature_layer,
            vision_feature_select_strategy=model.config.vision_feature_select_strategy,
        ).pooler_output
        return torch.stack(list(features))

    def _steps(
        self,
        images: Sequence[Image.Image],
        which: Sequence[int],
        seed: int,
        max_new_tokens: int | None,
        temperature: float,
        top_p: float,
    ) -> Steps:
        """Yield, step by step, (row, token id) for every row that is still written, without the ends.

        The rows are the pictures times the candidates ``which``, the candidates of a picture together. At the end it
        returns whether all rows ended by themselves.
        """
        import torch

        # As a decorator, the mode holds while a step is computed and not while whoever asks for steps is at work.
        decode: Any = torch.inference_mode()(self._decode)
        steps = decode(images, which, seed, max_new_tokens, temperature, top_p)
        while True:
            with _ONE_THREAD if self._small else nullcontext():
                try:
                    step = next(steps)
                except StopIteration as end:
                    return bool(end.value)
            yield step

    def _decode(
        self,
        images: Sequence[Image.Image],
        which: Sequence[int],
        seed: int,
        max_new_tokens: int | None,
        temperature: float,
        top_p: float,
    ) -> Steps:
        import torch
        from transformers import DynamicCache

        model, n = self._model, len(which)
        features = self._features(images)
        embed = model.get_input_embeddings()
        before, after = (
            embed(torch.tensor(ids, device=features.device, dtype=torch.long)).expand(len(images), -1, -1)
            for ids in (self._before, self._after)
        )
        prefix = torch.cat([before, features.to(before.dtype), after], dim=1)
        left = self.max_length - prefix.shape[1]
        limit = min(left, 1024 if max_new_tokens is None else max_new_tokens)
        cache = DynamicCache(config=model.config.text_config)
        decoder = model.model.language_model
        hidden = decoder(inputs_embeds=prefix, past_key_values=cache, use_cache=True).last_hidden_state[:, -1]
        cache.batch_repeat_interleave(n)
        logits = model.lm_head(hidden).float().repeat_interleave(n, dim=0)
        # One generator a candidate index: what a picture gets depends on the seed, not on its neighbours.
        draws = [np.random.default_rng([seed, k]) if k else None for k in which]
        alive = torch.arange(len(images) * n, device=logits.device)
        greedy = torch.tensor([k == 0 for k in which], device=logits.device)
        ends = torch.tensor(self._ends, device=logits.device)
        for step in range(limit):
            noise = None
            if any(draws):
                noise = np.stack([d.gumbel(size=logits.shape[1]) if d else np.zeros(logits.shape[1]) for d in draws])
            token = _choose(logits, alive % n, greedy, noise, temperature, top_p)
            keep = ~torch.isin(token, ends)
            if not bool(keep.all()):
                if not bool(keep.any()):
                    return True
                alive, token = alive[keep], token[keep]
                cache.batch_select_indices(keep.nonzero()[:, 0])
            yield list(zip(alive.tolist(), token.tolist(), strict=True))
            if step + 1 < limit:
                out = decoder(inputs_embeds=embed(token)[:, None], past_key_values=cache, use_cache=True)
                logits = model.lm_head(out.last_hidden_state[:, -1]).float()
        return False


def _check(n: int, temperature: float, top_p: float, max_new_tokens: int | None) -> None:
    """Raise an InputError if a number is out of range."""
    if n < 1 or temperature <= 0 or not 0 < top_p <= 1 or (max_new_tokens is not None and max_new_tokens < 1):
        raise InputError("ask for at least 1 candidate and 1 token, a temperature above 0 and a top_p up to 1")


def _choose(logits: Any, candidate: Any, greedy: Any, noise: Any, temperature: float, top_p: float) -> Any:
    """Return the next token of each row: the likeliest for greedy candidates, drawn from the nucleus for the others.

    Args:
        logits: float32 (rows, vocabulary).
        candidate: (rows,), the candidate's position.
        greedy: bool (candidates,).
        noise: Gumbel noise (candidates, vocabulary), None where all are greedy; the largest of logit plus
            noise is a draw from the softmax.
        temperature: divides the logits.
        top_p: share of the probability that the nucleus holds.
    """
    import torch

    best = logits.argmax(dim=-1)
    if noise is None:
        return best
    scaled = logits / temperature
    ordered, order = scaled.sort(dim=-1, descending=True)
    share = ordered.softmax(dim=-1)
    # A token is out where the ones before it hold the share already; the first is always in.
    ordered = ordered.masked_fill(share.cumsum(dim=-1) - share >= top_p, float("-inf"))
    nucleus = torch.full_like(scaled, float("-inf")).scatter(-1, order, ordered)
    table = torch.from_numpy(noise).to(logits)
    drawn = (nucleus + table[candidate]).argmax(dim=-1)
    return torch.where(greedy[candidate], best, drawn)


def pick_device(device: str | None) -> Any:
    """Return the torch device of a name; None and ``auto`` take a GPU where there is one.

    Raises:
        InputError: if it is unknown or not there.
    """
    import torch

    if device in (None, "auto"):
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(str(device))
    except RuntimeError:
        raise InputError(f"there is no device {device!r}; use cpu, cuda or auto") from None
    absent = place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count()
    if absent or (place.type == "mps" and not torch.backends.mps.is_available()):
        raise InputError(f"the device {device!r} is not there; use cpu or auto")
    return place


def clean(text: str) -> str:
    """Return a script without the Markdown fence that chat models put around it."""
    if "```" in text:
        inside = text.split("```", 2)[1]
        text = inside.partition("\n")[2] if inside[:6].lower().startswith(("python", "py\n", "\n")) else inside
    text = text.strip()
    return text + "\n" if text else ""


class _OneThread:
    """Keeps torch to one thread while at least one decoder is inside.

    A step of a small model is over before a second thread has woken up: on two cores that others use too, two threads
    took 4 to 12 times as long as one for 1 to 32 scripts at a time, in processor seconds as well.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = self._before = 0

    def __enter__(self) -> None:
        import torch

        with self._lock:
            if not self._inside:
                self._before = torch.get_num_threads()
                torch.set_num_threads(1)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        import torch

        with self._lock:
            self._inside -= 1
            if not self._inside:
                torch.set_num_threads(self._before)


_ONE_THREAD = _OneThread()


@contextmanager
def _imports_without_collection() -> Iterator[None]:
    """Keep the garbage collector from walking, again and again, over a million objects that imports leave for good."""
    if not gc.isenabled() or "transformers.models.llava" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
