"""A model that writes elsewhere: any server of OpenAI's chat protocol in the place of one in this process.

For checkpoints on a GPU under vLLM and the like: what it writes is run, compared and refined here.
"""

from __future__ import annotations

import base64
import io
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cadcoder.errors import InputError

if TYPE_CHECKING:
    from PIL import Image


class RemoteModel:
    """A drafter for :class:`cadcoder.Pipeline` whose scripts come from a server.

    The picture is framed here, as the checkpoint was trained: an engine knows nothing of framing, and would cut a
    picture that is not square.
    """

    def __init__(
        self,
        url: str,
        model: str,
        checkpoint: str | Path = "default",
        *,
        key: str = "none",
        seconds: float = 120.0,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Take a server and the checkpoint that runs there.

        Args:
            url: base address, such as ``http://gpu:8000/v1``.
            model: what the server calls the model.
            checkpoint: folder or name of the same checkpoint here, for its prompt, framing and picture size; the
                weights are not read.
            key: the server's key.
            seconds: longest time for a request.
            extra: further fields of the request.

        Raises:
            InputError: if the checkpoint is not found, or the address is none.
        """
        from cadcoder.model.checkpoint import find, read_card

        if not url.startswith(("http://", "https://")):
            raise InputError(f"{url} is no address of a server; it must start with http:// or https://")
        folder = find(checkpoint)
        self.name = model
        self._url, self._key, self._seconds = url.rstrip("/") + "/chat/completions", key, seconds
        self._extra = dict(extra or {})
        self._card = read_card(folder)
        self._size = int(json.loads((folder / "config.json").read_text())["vision_config"]["image_size"])

    def candidates(
        self,
        image: Image.Image,
        n: int = 1,
        seed: int = 0,
        max_new_tokens: int | None = None,
        temperature: float = 1.0,
        top_p: float = 0.95,
    ) -> Sequence[str]:
        """Return ``n`` scripts for a picture, the first greedy and the others sampled.

        Raises:
            InputError: if the server cannot be reached, or answers with an error.
        """
        from cadcoder.model.framing import frame

        out = io.BytesIO()
        frame(image, self._size, self._card.framing).save(out, "PNG")
        shown = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
        content = [
            {"type": "image_url", "image_url": {"url": shown}},
            {"type": "text", "text": self._card.prompt},
        ]
        ask: dict[str, Any] = {"model": self.name, "messages": [{"role": "user", "content": content}], "seed": seed}
        if max_new_tokens is not None:
            ask["max_tokens"] = max_new_tokens
        found = self._post({**ask, "n": 1, "temperature": 0})
        if n > 1:
            found += self._post({**ask, "n": n - 1, "temperature": temperature, "top_p": top_p})
        return found

    def _post(self, ask: dict[str, Any]) -> list[str]:
        from cadcoder.model.generate import clean

        request = urllib.request.Request(
            self._url,
            json.dumps({**ask, **self._extra}).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=self._seconds) as response:
                tree = json.loads(response.read())
            texts = [choice["message"]["content"] for choice in tree["choices"]]
        except urllib.error.HTTPError as error:
            with error:
                raise InputError(f"{self._url} answers {error.code}: {_message(error.read(65536))}") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self._url} cannot be used: {' '.join(str(error).split())[:300]}") from None
        return [clean(str(text)) for text in texts]


def _message(data: bytes) -> str:
    try:
        tree = json.loads(data)
        error = tree.get("error", tree)
        return " ".join(str(error["message"] if isinstance(error, dict) else error).split())[:300]
    except (ValueError, KeyError, AttributeError):
        return " ".join(data[:300].decode(errors="replace").split())
