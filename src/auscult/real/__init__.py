"""Recordings of real sound: what can be had without an account, unpacked, labelled and split.

`make real-sound` fills a cache folder; `read_recordings` lists what is in it. `docs/real_sound.md`.
"""

from auscult.real.recording import (
    RealSoundError,
    Recording,
    default_folder,
    load,
    read_recordings,
    write_recordings,
)

__all__ = [
    "RealSoundError",
    "Recording",
    "default_folder",
    "load",
    "read_recordings",
    "write_recordings",
]
