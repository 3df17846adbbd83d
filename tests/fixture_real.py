"""Packages of real sound in small: archives built here in exactly the form that Debian, Qt, OpenTTD
and the games use."""

import io
import struct
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile


def tone(hz: float = 440.0, seconds: float = 0.3, peak: float = 0.5, rate: int = 16_000):
    t = np.arange(round(seconds * rate)) / rate
    return (peak * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def encoded(x: np.ndarray, form: str = "WAV", rate: int = 16_000) -> bytes:
    out = io.BytesIO()
    whole = np.round(x * 32767).astype(np.int16)  # else each format rounds in its own way
    soundfile.write(out, whole, rate, format=form, subtype="VORBIS" if form == "OGG" else "PCM_16")
    return out.getvalue()


def tar(files: Mapping[str, bytes], mode: str = "w:xz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def deb(files: Mapping[str, bytes], ending: str = "xz") -> bytes:
    """deb(5): an ar archive of debian-binary, control.tar and data.tar."""
    out = b"!<arch>\n"
    for name, data in (
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", tar({})),
        (f"data.tar.{ending}", tar(files)),
    ):
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n"
        out += head.encode() + data + b"\n" * (len(data) % 2)
    return out


def rcc(files: Mapping[str, bytes], *, packed: bool, version: int = 3) -> bytes:
    """Qt's resource format: header, contents, names, a tree whose folders list their children."""
    names, contents, rows = b"", b"", []
    places: dict[str, int] = {}

    def name_at(name: str) -> int:
        nonlocal names
        if name not in places:
            places[name] = len(names)
            letters = name.encode("utf-16-be")
            names += struct.pack(">HI", len(letters) // 2, 0) + letters
        return places[name]

    nested: dict = {}
    for path, data in files.items():
        *folders, last = path.strip("/").split("/")
        inside = nested
        for folder in folders:
            inside = inside.setdefault(folder, {})
        inside[last] = data
    level: list[tuple[str, object]] = [("", nested)]
    free = 1
    while level:
        following: list[tuple[str, object]] = []
        for name, what in level:
            at = name_at(name) if name else 0
            if isinstance(what, dict):
                rows.append(struct.pack(">IHII", at, 2, len(what), free))
                free += len(what)
                following += list(what.items())
            else:
                data = struct.pack(">I", len(what)) + zlib.compress(what) if packed else what
                rows.append(struct.pack(">IHHHI", at, int(packed), 0, 0, len(contents)))
                contents += struct.pack(">I", len(data)) + data
        level = following
    tree = b"".join(row + b"\0" * 8 * (version >= 2) for row in rows)
    start = 24
    return (
        b"qres"
        + struct.pack(">5I", version, start + len(contents) + len(names), start,
                      start + len(contents), 0)
        + contents + names + tree
    )  # fmt: skip


def cat(sounds: list[tuple[str, bytes]]) -> bytes:
    """OpenTTD's catalogue: offsets and sizes, then title and RIFF of each sound."""
    table, body = b"", b""
    start = 8 * len(sounds)
    for title, wav in sounds:
        said = title.encode("latin1") + b"\0"
        table += struct.pack("<II", (start + len(body)) | 0x80000000, len(wav))
        body += bytes([len(said)]) + said + wav + b"\0\x05a.wav\0"
    return table + body


def write_debs(folder: Path, packages: Mapping[str, Mapping[str, bytes]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, files in packages.items():
        (folder / f"{name}_1.0_all.deb").write_bytes(deb(files))
    return folder
