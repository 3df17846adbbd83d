"""What people give as sound, as clips of 16 kHz: arrays, tensors, paths, bytes, base64, and the
records of `datasets` and of chat messages."""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from auscult.audio.io import read_audio, read_encoded
from auscult.audio.synth import SAMPLE_RATE, resample
from auscult.types import Audio

SHORTEST = 400
"""Samples: 25 ms, one window of the features."""

PARTS = {"audio": ("audio", "path", "url", "base64", "data"), "input_audio": ("input_audio",)}
"""Kinds of parts of a message that hold sound, and the fields that may hold it."""

_KINDS = "an array of samples at 16 kHz, a path, bytes, base64, or a record of `datasets`"


def as_clip(value: Any, rate: int | None = None) -> Audio:
    """Any form of sound as float32 mono at 16 kHz.

    `rate`: sampling rate of arrays (default 16,000); others are resampled. Raises `ValueError` for
    what is no sound, has several channels, is too short or holds what is no number; for URLs.
    """
    if isinstance(value, Path) or (isinstance(value, str) and _is_path(value)):
        return _checked(read_audio(value))
    if isinstance(value, str):
        return _checked(read_encoded(_decoded(value), "the base64 of a message"))
    if isinstance(value, bytes | bytearray):
        return _checked(read_encoded(bytes(value), "the bytes given as audio"))
    if isinstance(value, dict):
        return _of_record(value, rate)  # pyright: ignore[reportUnknownArgumentType]
    if hasattr(value, "get_all_samples"):  # torchcodec's decoder, as `datasets` gives it
        found = value.get_all_samples()
        return _of_array(np.asarray(found.data).mean(0), int(found.sample_rate))
    return _of_array(value, rate)


def _is_path(text: str) -> bool:
    if text.startswith(("http://", "https://")):
        raise ValueError(
            f"{text[:80]} is a URL; nothing is fetched here: download it and give the path"
        )
    return not text.startswith("data:") and (len(text) < 1024 and Path(text).exists())


def _decoded(text: str) -> bytes:
    body = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ValueError(
            f"{text[:80]!r} is neither a file that exists nor base64; give {_KINDS}"
        ) from error


def _of_record(value: dict[str, Any], rate: int | None) -> Audio:
    if value.get("array") is not None:
        return _of_array(value["array"], int(value.get("sampling_rate") or rate or SAMPLE_RATE))
    for name in ("bytes", "data", "path", "url", "audio"):
        if value.get(name) is not None:
            return as_clip(value[name], rate)
    raise ValueError(f"a record with {', '.join(value) or 'nothing'} holds no sound; give {_KINDS}")


def _of_array(value: Any, rate: int | None) -> Audio:
    try:
        x = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"a {type(value).__name__} is no sound; give {_KINDS}") from error
    if x.ndim != 1 or x.dtype.kind not in "fiu":
        raise ValueError(
            f"an array of shape {x.shape} and type {x.dtype} is no clip; expected one channel of "
            "samples: average or choose a channel first"
        )
    if x.dtype.kind in "iu":
        x = x / float(np.iinfo(x.dtype).max)
    x = x.astype(np.float32)
    return _checked(x if rate in (None, SAMPLE_RATE) else resample(x, int(rate)))


def _checked(x: Audio) -> Audio:
    if len(x) < SHORTEST:
        raise ValueError(
            f"a clip of {len(x) / 16:.1f} ms gives no audio token; at least 25 ms are needed"
        )
    if not np.isfinite(x).all():
        raise ValueError("a clip holds samples that are NaN or infinite; export it again")
    return x


def sounds_of(conversation: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Audio]]:
    """(the conversation with every sound as a bare {"type": "audio"}, its clips in order).

    Raises `ValueError` for parts that cannot be heard or read: images, videos, unknown kinds.
    """
    messages: list[dict[str, Any]] = []
    clips: list[Audio] = []
    for message in conversation:
        content = message.get("content")
        if not isinstance(content, list | tuple):
            messages.append(dict(message))
            continue
        parts: list[dict[str, Any]] = []
        for part in content:
            kind = part.get("type", "text") if isinstance(part, dict) else "text"
            if kind == "text":
                parts.append(part if isinstance(part, dict) else {"type": "text", "text": part})
                continue
            if kind not in PARTS:
                raise ValueError(
                    f"a part of type {kind!r} cannot be shown to this model; it takes text and "
                    f"{', '.join(PARTS)}"
                )
            given = next((part[k] for k in PARTS[kind] if part.get(k) is not None), None)
            if given is not None:
                clips.append(as_clip(given, part.get("sampling_rate")))
            parts.append({"type": "audio"})
        messages.append({**message, "content": parts})
    return messages, clips


def many(value: Any) -> bool:
    """Is it a list of clips, and not one clip or its samples?"""
    if not isinstance(value, list | tuple) or not value:
        return isinstance(value, list | tuple)
    return not isinstance(value[0], int | float | np.number)
