"""A process of its own that speaks: the only place where the GPL library espeak-ng is loaded.

Run as `python -m auscult.audio.espeak_worker`. One JSON request per line on standard input
({"text", "voice", "pitch", "range", "rate", "volume"}); for each, eight bytes on standard output
(sample rate, number of samples, little-endian uint32) followed by int16 samples. A rate of 0 means
an error, and the samples are then its UTF-8 text.
"""

import ctypes
import json
import struct
import sys
from collections.abc import Callable
from typing import Any

_RETRIEVAL = 1  # AUDIO_OUTPUT_RETRIEVAL: samples come through the callback
_PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "range": 4}
_UTF8 = 1


def _load() -> tuple[Any, int, Callable[[], bytes], Any]:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(
        _RETRIEVAL, 0, str(espeakng_loader.get_data_path()).encode(), 0
    )
    if rate <= 0:
        raise RuntimeError("espeak-ng could not start; reinstall with: pip install auscult[speech]")
    chunks: list[bytes] = []

    def receive(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    shape = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    callback = shape(receive)
    library.espeak_SetSynthCallback(callback)

    def take() -> bytes:
        data = b"".join(chunks)
        chunks.clear()
        return data

    return library, rate, take, callback


def _speak(library: Any, take: Callable[[], bytes], request: dict[str, Any]) -> bytes:
    if library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
        raise ValueError(f"espeak-ng has no voice {request['voice']!r}")
    for name, number in _PARAMETERS.items():
        library.espeak_SetParameter(number, int(request[name]), 0)
    text = request["text"].encode() + b"\0"
    library.espeak_Synth(text, len(text), 0, 0, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    return take()


def main() -> None:
    """Serve requests until standard input closes."""
    library, rate, take, _callback = _load()
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        try:
            data = _speak(library, take, json.loads(line))
            out.write(struct.pack("<II", rate, len(data) // 2) + data)
        except (ValueError, KeyError) as error:  # a bad request must not end the server
            message = str(error).encode()
            out.write(struct.pack("<II", 0, len(message)) + message)
        out.flush()


if __name__ == "__main__":
    main()
