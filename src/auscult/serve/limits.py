"""How much a client may ask for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may hold; what goes beyond is refused with the number that it passed.

    Example: Limits(seconds=120.0) hears at most two minutes of each recording.
    """

    body_bytes: int = 32 << 20
    messages: int = 256
    parts: int = 16  # recordings of a request
    audio_bytes: int = 24 << 20  # of one recording, as sent
    seconds: float = 600.0  # of one recording, counted while it is decoded
    characters: int = 200_000  # of all texts together
    n: int = 16
    max_tokens: int = 8192
    stops: int = 16
    waiting: int = 256  # requests in flight
    deadline_s: float = 600.0
