"""Odd but valid recordings, and broken ones, made byte by byte."""

import io
import struct

import numpy as np
import soundfile

RATE = 16000


def tone(rate: int = RATE, seconds: float = 1.0, channels: int = 1) -> np.ndarray:
    """440 Hz with a peak of 0.5 (its level is -9.0 dB)."""
    x = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)
    return x if channels == 1 else np.repeat(x[:, None], channels, axis=1)


def coded(
    kind: str, subtype: str | None = None, rate: int = RATE, seconds: float = 1.0,
    channels: int = 1, **more: object,
) -> bytes:  # fmt: skip
    """A tone in one of libsndfile's formats."""
    out = io.BytesIO()
    x = tone(rate, seconds, channels)
    soundfile.write(out, x, rate, format=kind, subtype=subtype, **more)
    return out.getvalue()


def pcm(x: np.ndarray, order: str = "<") -> bytes:
    return np.round(32767 * x).astype(order + "i2").tobytes()


def chunk(name: bytes, body: bytes, order: str = "<", length: int | None = None) -> bytes:
    """A chunk with its padding byte; `length` is what it claims."""
    claimed = len(body) if length is None else length
    return name + struct.pack(order + "I", claimed) + body + b"\0" * (len(body) % 2)


def fmt(
    *, tag: int = 1, rate: int = RATE, channels: int = 1, bits: int = 16, order: str = "<"
) -> bytes:
    block = min(channels * bits // 8, 65535)
    body = struct.pack(
        order + "HHIIHH", tag, channels, rate, min(rate * block, 2**32 - 1), block, bits
    )
    return chunk(b"fmt ", body, order)


def wav(
    *, before: bytes = b"", after: bytes = b"", claims: int | None = None,
    riff: int | None = None, body: bytes | None = None, head: bytes | None = None,
) -> bytes:  # fmt: skip
    """A WAV with chunks before and after its sound, and lengths as one likes."""
    data = pcm(tone()) if body is None else body
    inner = b"WAVE" + before + (fmt() if head is None else head) + chunk(
        b"data", data, length=claims
    ) + after  # fmt: skip
    return b"RIFF" + struct.pack("<I", len(inner) if riff is None else riff) + inner


def id3(size: int = 2048, footer: bool = False) -> bytes:
    """A tag of version 2.4 with `size` bytes of padding."""
    length = bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127])
    tag = bytes([4, 0, 16 if footer else 0]) + length
    return b"ID3" + tag + b"\0" * size + (b"3DI" + tag if footer else b"")


def rf64(claims: int, *, magic: bytes = b"RF64") -> bytes:
    data = pcm(tone())
    ds64 = chunk(b"ds64", struct.pack("<QQQI", len(data) + 72, claims, len(data) // 2, 0))
    return magic + b"\xff\xff\xff\xffWAVE" + ds64 + fmt() + chunk(b"data", data, length=2**32 - 1)


def aiff(*, swapped: bool = False, claims: int | None = None, before: bytes = b"") -> bytes:
    """AIFF; `swapped`: the sound stands before the chunk that describes it."""
    x = pcm(tone(), ">")
    rate = b"\x40\x0c\xfa\x00\x00\x00\x00\x00\x00\x00"  # 16,000 as an 80-bit float
    comm = chunk(b"COMM", struct.pack(">hIh", 1, len(x) // 2, 16) + rate, ">")
    body = b"\0" * 8 + x
    ssnd = chunk(b"SSND", body, ">", length=claims)
    inner = b"AIFF" + before + (ssnd + comm if swapped else comm + ssnd)
    return b"FORM" + struct.pack(">I", len(inner)) + inner


def au(claims: int, *, order: str = ">", note: bytes = b"") -> bytes:
    x = pcm(tone(), order)
    head = struct.pack(order + "IIIII", 24 + len(note), claims, 3, RATE, 1)
    return (b".snd" if order == ">" else b"dns.") + head + note + x


def caf_streamed() -> bytes:
    """A length of -1: up to the end of the file."""
    data = coded("CAF")
    at = data.index(b"data") + 4
    length = struct.unpack(">Q", data[at : at + 8])[0]
    return data[:at] + b"\xff" * 8 + data[at + 8 : at + 8 + length]


def flac_of_unknown_length() -> bytes:
    """As an encoder leaves it that writes into a pipe: 36 bits of samples are 0."""
    data = bytearray(coded("FLAC"))
    data[21] &= 0xF0
    data[22:26] = b"\0\0\0\0"
    return bytes(data)


_BITRATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def mp3_frames(data: bytes) -> list[bytes]:
    """The frames of an MP3 of 16 kHz (version 2: 576 samples each)."""
    found, at = [], 0
    while at + 4 <= len(data):
        length = 72_000 * _BITRATES[data[at + 2] >> 4] // RATE + (data[at + 2] >> 1 & 1)
        found.append(data[at : at + length])
        at += length
    return found


def varied() -> np.ndarray:
    """10 s of noise, then 20 s of silence: bit rates differ by ten."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(10 * RATE)
    return np.concatenate([noise, np.zeros(20 * RATE)])


def mp3(x: np.ndarray, mode: str = "CONSTANT", level: float = 0.3, rate: int = RATE) -> bytes:
    out = io.BytesIO()
    soundfile.write(
        out, x, rate, format="MP3", bitrate_mode=mode, compression_level=level
    )  # fmt: skip
    return out.getvalue()


def without_statement(data: bytes) -> bytes:
    """Without the first frame, which says how many there are."""
    return b"".join(mp3_frames(data)[1:])


def odd_id3(size: int) -> bytes:
    """A tag whose length is written in bytes of eight bits, against the standard."""
    return b"ID3\x03\0\0" + struct.pack(">I", size) + b"\0" * size


def cover(size: int) -> bytes:
    """A tag with a picture."""
    return id3(size)[:10] + b"APIC" + np.random.default_rng(0).bytes(size - 4)


def ape_tag() -> bytes:
    item = struct.pack("<II", 4, 0) + b"Title\0Tone"
    tail = b"APETAGEX" + struct.pack("<IIII", 2000, len(item) + 32, 1, 0) + b"\0" * 8
    return item + tail


def ogg_without_end(data: bytes) -> bytes:
    """The last page does not say that it is the last, as in a broadcast that broke off."""
    at = data.rindex(b"OggS")
    page = data[at : at + 5] + bytes([data[at + 5] & ~4]) + data[at + 6 : at + 22] + b"\0" * 4
    page += data[at + 26 :]
    r = 0
    for byte in page:
        r ^= byte << 24
        for _ in range(8):
            r = (r << 1 ^ 0x04C11DB7 if r & 0x80000000 else r << 1) & 0xFFFFFFFF
    return data[:at] + page[:22] + struct.pack("<I", r) + page[26:]


def level_db(x: np.ndarray) -> float:
    """Mean level."""
    return float(10 * np.log10(np.mean(np.square(x, dtype=np.float64)) + 1e-12))
