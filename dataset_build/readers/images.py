"""Pictures that a source brings along: taken as they are, once they have been decoded in full."""

from __future__ import annotations

import io
import warnings

from dataset_build.readers.rejects import Reason, Refused

#: Largest side in pixels.
MAX_SIDE = 8192
FORMATS = ("PNG", "JPEG")


def checked_picture(raw: bytes, place: str) -> bytes:
    """Return a picture's bytes once it is known to be a whole PNG or JPEG.

    Raises:
        Refused: ``BAD_PICTURE``.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(raw), formats=FORMATS) as picture:
                if max(picture.size) > MAX_SIDE:
                    raise Refused(Reason.BAD_PICTURE, place, f"{picture.size} pixels; at most {MAX_SIDE} a side")
                picture.load()
    except Refused:
        raise
    except Exception as e:  # Pillow's decoders let out whatever they meet
        raise Refused(Reason.BAD_PICTURE, place, " ".join(str(e).split())[:200] or type(e).__name__) from e
    return raw
