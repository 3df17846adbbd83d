"""Sound in a request: base64 and data URLs, decoded within limits. Nothing is fetched, and no path
is opened."""

import base64
import binascii
import re
import warnings
from typing import Any

from auscult.audio.io import AudioError, AudioWarning, read_encoded
from auscult.serve.errors import Refused
from auscult.serve.limits import Limits
from auscult.types import Audio

_DATA = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*?;base64,", re.I)
_FIELDS = {
    "input_audio": ("data",),
    "audio_url": ("url",),
    "audio": ("data", "base64", "url", "audio"),
}
"""Kinds of parts that hold sound -> the fields of the part's own object that may hold it."""


def is_sound(part: dict[str, Any]) -> bool:
    """Is this part of a message a recording?"""
    return part.get("type") in _FIELDS


def clip_of(part: dict[str, Any], where: str, limits: Limits) -> Audio:
    """The recording of a part. `where` names it in errors: "messages[0].content[1]"."""
    text = _encoded(part, where)
    if len(text) > limits.audio_bytes * 4 // 3 + 128:
        raise Refused(
            413, f"{where}: a recording may have at most {limits.audio_bytes >> 20} MiB; send it "
            "compressed (mp3, ogg, flac) or in parts", param=where,
        )  # fmt: skip
    data = _decoded(text, where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AudioWarning)
            return read_encoded(data, "the recording", max_seconds=limits.seconds)
    except AudioError as error:
        raise Refused(400, f"{where}: {error}", param=where) from error


def _encoded(part: dict[str, Any], where: str) -> str:
    kind = str(part["type"])
    held = part.get(kind)
    if isinstance(held, dict):
        given: dict[str, Any] = held  # pyright: ignore[reportUnknownVariableType]
        held = next((given[name] for name in _FIELDS[kind] if given.get(name) is not None), None)
    if not isinstance(held, str) or not held.strip():
        raise Refused(
            400, f'{where}: expected {{"type": "input_audio", "input_audio": {{"data": BASE64, '
            '"format": "wav"}}', param=where,
        )  # fmt: skip
    return held.strip()


def _decoded(text: str, where: str) -> bytes:
    head = _DATA.match(text)
    if head is None and ("://" in text[:64] or text[:5].lower() == "data:"):
        said = (
            "a data URL must end its head with ;base64, and the type of a recording"
            if text[:5].lower() == "data:"
            else "this server fetches nothing; send the recording as base64 or as a data URL"
        )
        raise Refused(400, f"{where}: {said}", param=where)
    if head is not None and head["type"] and not _sounds(head["type"]):
        raise Refused(415, f"{where}: {head['type'][:60]} is no sound", param=where)
    body = text[head.end() :] if head is not None else text
    body = re.sub(r"\s+", "", body).translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(
            400, f"{where}: this is not base64; encode the bytes of the file", param=where
        ) from error


def _sounds(kind: str) -> bool:
    kind = kind.lower()
    return kind.startswith(("audio/", "video/")) or kind in (
        "application/ogg", "application/octet-stream",
    )  # fmt: skip
