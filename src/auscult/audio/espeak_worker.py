"""A process of its own that speaks: the only place where the GPL library espeak-ng is loaded.

Run as `python -m auscult.audio.espeak_worker`. One JSON request per line on standard input
({"text", "voice", "pitch", "range", "rate", "volume"}); for each, eight bytes on standard output
(sample rate, number of samples, little-endian uint32) followed by int16 samples. A rate of 0 means
an error, and the samples are then its UTF-8 text.
"""

import _ctypes
import ctypes
import json
import struct
import sys
from typing import Any

_RETRIEVAL = 1  # AUDIO_OUTPUT_RETRIEVAL: samples come through the callback
_PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "range": 4}
_UTF8 = 1


def _speak(request: dict[str, Any]) -> tuple[int, bytes]:
    """(sample rate, samples) of one request, by a freshly loaded library.

    The library keeps state from one utterance to the next, which neither its own initialisation nor
    its random seed clears. Loaded anew it says the same thing the same way, whatever came before,
    and it takes less time than the state costs.
    """
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        path = str(espeakng_loader.get_data_path()).encode()
        rate = library.espeak_Initialize(_RETRIEVAL, 0, path, 0)
        if rate <= 0:
            raise ValueError(
                "espeak-ng could not start: pip install --force-reinstall espeakng-loader"
            )
        chunks: list[bytes] = []

        def receive(samples: Any, count: int, events: Any) -> int:
            if samples and count > 0:
                chunks.append(ctypes.string_at(samples, 2 * count))
            return 0

        shape = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        callback = shape(receive)
        library.espeak_SetSynthCallback(callback)
        library.espeak_ng_SetRandSeed(1)
        if library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {request['voice']!r}")
        for name, number in _PARAMETERS.items():
            library.espeak_SetParameter(number, int(request[name]), 0)
        text = request["text"].encode() + b"\0"
        library.espeak_Synth(text, len(text), 0, 0, 0, _UTF8, None, None)
        library.espeak_Synchronize()
        return rate, b"".join(chunks)
    finally:
        library.espeak_Terminate()  # its threads must not outlive the library
        _ctypes.dlclose(library._handle)


def main() -> None:
    """Serve requests until standard input closes."""
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        try:
            rate, data = _speak(json.loads(line))
            out.write(struct.pack("<II", rate, len(data) // 2) + data)
        except (ValueError, KeyError) as error:  # a bad request must not end the server
            message = str(error).encode()
            out.write(struct.pack("<II", 0, len(message)) + message)
        out.flush()


if __name__ == "__main__":
    main()
