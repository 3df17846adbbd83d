"""Recordings that people have: odd but valid ones are read whole, broken ones refused with help."""

import io
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile
from fixture_recordings import (
    RATE,
    aiff,
    ape_tag,
    au,
    caf_streamed,
    chunk,
    coded,
    cover,
    flac_of_unknown_length,
    fmt,
    id3,
    level_db,
    mp3,
    mp3_frames,
    odd_id3,
    ogg_without_end,
    pcm,
    rf64,
    tone,
    varied,
    wav,
    without_statement,
)

from auscult.audio.io import AudioError, AudioWarning, read_audio, read_encoded, read_recording
from auscult.audio.read.decode import Decoder


@dataclass(frozen=True)
class Case:
    """How to make a file; how long it is and how loud; how much a coder may change of that."""

    make: Callable[[], bytes]
    seconds: float = 1.0
    level_db: float = -9.03
    slack_db: float = 0.1
    slack_s: float = 0.0


def lossy(make: Callable[[], bytes], seconds: float = 1.0, **more: float) -> Case:
    return Case(make, seconds, **{"slack_db": 0.8, "slack_s": 0.1} | more)  # type: ignore[arg-type]


NOISE_AND_SILENCE_DB = -20 - 4.77  # noise at -20 dB for a third of the time
WAV_STREAMED = {
    "of sox": 0x7FFFF000, "2^31 - 1": 0x7FFFFFFF, "2^31": 0x80000000, "2^32 - 1": 0xFFFFFFFF,
    "2^31 - 37": 0x7FFFFFDB, "0": 0,
}  # fmt: skip

ID3V1 = b"TAG" + b"Tone".ljust(125, b"x")


def whole_noise() -> bytes:
    """A FLAC of 44.1 kHz whose last block is smaller than the others."""
    x = 0.1 * np.random.default_rng(0).standard_normal(4 * 44100)
    out = io.BytesIO()
    soundfile.write(out, x, 44100, format="FLAC")
    return out.getvalue()


VALID: dict[str, Case] = {
    **{
        f"wav {s}": Case(lambda s=s: coded("WAV", s), slack_db=0.2)
        for s in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
    },
    "wav ima adpcm": lossy(lambda: coded("WAV", "IMA_ADPCM")),
    "wav ms adpcm": lossy(lambda: coded("WAV", "MS_ADPCM")),
    "wav gsm": lossy(lambda: coded("WAV", "GSM610", 8000)),
    "wav big-endian (RIFX)": Case(lambda: coded("WAV", endian="BIG")),
    "wav extensible 16": Case(lambda: coded("WAVEX", "PCM_16")),
    "wav extensible 24, 6 channels": Case(lambda: coded("WAVEX", "PCM_24", channels=6)),
    "rf64": Case(lambda: coded("RF64")),
    "rf64 streamed": Case(lambda: rf64(2**64 - 1)),
    "rf64 of length 0": Case(lambda: rf64(0)),
    "bw64": Case(lambda: rf64(32000, magic=b"BW64")),
    "wav with bext": Case(lambda: wav(before=chunk(b"bext", b"\0" * 602))),
    "wav with junk of odd length": Case(lambda: wav(before=chunk(b"JUNK", b"abc"))),
    "wav with a list before": Case(lambda: wav(before=chunk(b"LIST", b"INFOISFT" + b"\0" * 40))),
    "wav with a list after": Case(lambda: wav(after=chunk(b"LIST", b"INFOISFT" + b"\0" * 40))),
    "wav with cue and id3 after": Case(
        lambda: wav(after=chunk(b"cue ", b"\0" * 4) + chunk(b"id3 ", id3(400)))
    ),
    "wav with fact": Case(lambda: wav(before=chunk(b"fact", b"\x80\x3e\0\0"))),
    "wav padded with zeros": Case(lambda: wav() + b"\0" * 5000),
    "wav of riff length 0": Case(lambda: wav(riff=0)),
    "wav of riff length 2^32 - 1": Case(lambda: wav(riff=2**32 - 1)),
    **{
        f"wav streamed, {n}": Case(lambda v=v: wav(claims=v, riff=min(v + 36, 2**32 - 1)))
        for n, v in WAV_STREAMED.items()
    },
    "id3 before wav": Case(lambda: id3() + wav()),
    "large id3 before wav": Case(lambda: id3(60_000) + wav()),
    "id3 with footer before wav": Case(lambda: id3(footer=True) + wav()),
    "two id3 before wav": Case(lambda: id3(100) + id3(300) + wav()),
    "id3 of no standard length before wav": Case(lambda: odd_id3(200) + wav()),
    "the same, of seven bits each": Case(lambda: odd_id3(0x1234) + wav()),
    **{
        f"id3 and padding before {n}": Case(lambda m=m: id3(500) + b"\0" * 512 + m())
        for n, m in {"wav": wav, "aiff": aiff, "flac": lambda: coded("FLAC")}.items()
    },
    "a byte order mark before wav": Case(lambda: b"\xef\xbb\xbf" + wav()),
    "an empty line before wav": Case(lambda: b"\r\n" + wav()),
    "two wavs joined": Case(lambda: wav() + wav(), 2),
    "ogg vorbis chained": lossy(lambda: coded("OGG", seconds=2) + coded("OGG", seconds=3), 5),
    "ogg vorbis chained, mono and stereo, of two rates": lossy(
        lambda: coded("OGG") + coded("OGG", rate=44100, channels=2) + coded("OGG"), 3),
    "ogg opus chained": lossy(
        lambda: coded("OGG", "OPUS", seconds=2) + coded("OGG", "OPUS", seconds=3), 5, slack_db=1.2),
    "id3 before rf64": Case(lambda: id3() + coded("RF64")),
    "id3 before aiff": Case(lambda: id3() + aiff()),
    "id3 before flac": Case(lambda: id3() + coded("FLAC")),
    "id3 before ogg": lossy(lambda: id3() + coded("OGG")),
    "id3 before streamed wav": Case(lambda: id3() + wav(claims=0x7FFFF000)),
    **{
        f"wav of {r} Hz": Case(lambda r=r: coded("WAV", rate=r))
        for r in (2000, 8000, 11025, 11027, 22050, 44100, 48000, 96000, 192000, 384000)
    },
    **{f"wav of {c} channels": Case(lambda c=c: coded("WAV", channels=c)) for c in (2, 6, 8, 33)},
    "wav of 1 sample": Case(lambda: wav(body=pcm(np.array([0.5]))), 1 / RATE, -6.02),
    "wav of 2 samples at 48 kHz": Case(
        lambda: wav(body=pcm(np.zeros(2)), head=fmt(rate=48000)), 2 / 48000, -120.0
    ),
    "wav of 30 ms": Case(lambda: coded("WAV", seconds=0.03), 0.03, slack_db=0.3),
    "wav of a minute and a half": Case(lambda: coded("WAV", rate=8000, seconds=90), 90),
    "aiff": Case(aiff),
    "aiff, sound before its description": Case(lambda: aiff(swapped=True)),
    "aiff with a name": Case(lambda: aiff(before=chunk(b"NAME", b"tone", ">"))),
    "aiff streamed": Case(lambda: aiff(claims=0x7F000008)),
    "aiff of length 0": Case(lambda: aiff(claims=0)),
    **{
        f"aiff {s}": Case(lambda s=s: coded("AIFF", s), slack_db=0.2)
        for s in ("PCM_S8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
    },
    "aiff-c, little-endian": Case(lambda: coded("AIFF", "PCM_16", endian="LITTLE")),
    "au": Case(lambda: coded("AU")),
    "au ulaw": Case(lambda: coded("AU", "ULAW"), slack_db=0.2),
    "au float": Case(lambda: coded("AU", "FLOAT")),
    "au of unknown length": Case(lambda: au(0xFFFFFFFF)),
    "au of length 0": Case(lambda: au(0)),
    "au of length 2^31 - 1": Case(lambda: au(0x7FFFFFFF)),
    "au, little-endian": Case(lambda: au(32000, order="<")),
    "au with a note": Case(lambda: au(32000, note=b"a tone, 440 Hz\0\0")),
    **{
        f"caf {s}": Case(lambda s=s: coded("CAF", s), slack_db=0.2)
        for s in ("PCM_16", "PCM_24", "FLOAT", "ULAW", "ALAC_16")
    },
    "caf of length -1": Case(caf_streamed),
    "w64": Case(lambda: coded("W64")),
    "w64 float": Case(lambda: coded("W64", "FLOAT")),
    "w64 padded with zeros": Case(lambda: coded("W64") + b"\0" * 5000),
    **{f"flac {s}": Case(lambda s=s: coded("FLAC", s), slack_db=0.2)
       for s in ("PCM_S8", "PCM_16", "PCM_24")},
    "flac of 6 channels": Case(lambda: coded("FLAC", channels=6)),
    "flac of unknown length": Case(flac_of_unknown_length),
    "flac of unknown length with id3v1": Case(lambda: flac_of_unknown_length() + ID3V1),
    "flac with bytes after": Case(lambda: coded("FLAC") + b"\0" * 3000),
    **{
        f"flac with {n} after": Case(lambda t=t: whole_noise() + t, 4, -24.55)
        for n, t in {"an id3v1 tag": ID3V1, "id3v1 of zeros": b"TAG" + b"\0" * 125,
                     "an ape tag": ape_tag(), "a text": b"<html>" * 100}.items()
    },
    "ogg vorbis": lossy(lambda: coded("OGG", "VORBIS")),
    "ogg vorbis, 44.1 kHz stereo": lossy(lambda: coded("OGG", "VORBIS", 44100, channels=2)),
    "ogg opus": lossy(lambda: coded("OGG", "OPUS"), slack_db=1.2),
    "ogg opus, 48 kHz stereo": lossy(lambda: coded("OGG", "OPUS", 48000, channels=2)),
    "ogg with bytes after": lossy(lambda: coded("OGG") + b"\0" * 3000),
    "mp3 of constant rate": lossy(lambda: mp3(tone(seconds=3)), 3),
    "mp3 of 44.1 kHz stereo": lossy(lambda: coded("MP3", rate=44100, channels=2)),
    "mp3 of 8 kHz": lossy(lambda: coded("MP3", rate=8000)),
    "mp3 of variable rate": lossy(lambda: mp3(varied(), "VARIABLE", 0.0), 30,
                                  level_db=NOISE_AND_SILENCE_DB),
    "mp3 of variable rate that does not say how long it is": lossy(
        lambda: without_statement(mp3(varied(), "VARIABLE", 0.0)), 30,
        level_db=NOISE_AND_SILENCE_DB,
    ),
    "the same, silence first": lossy(
        lambda: without_statement(mp3(varied()[::-1], "VARIABLE", 0.0)), 30,
        level_db=NOISE_AND_SILENCE_DB,
    ),
    "mp3 of two constant rates, low and high": lossy(
        lambda: without_statement(mp3(tone(seconds=5), level=0.8))
        + without_statement(mp3(tone(seconds=5), level=0.1)), 10, slack_s=0.2,
    ),
    "two mp3s joined": lossy(lambda: 2 * mp3(tone(seconds=2)), 4, slack_s=0.3),
    "mp3s of two rates joined": lossy(
        lambda: mp3(tone(seconds=3)) + mp3(tone(44100, 3), rate=44100), 6, slack_s=0.3),
    "mp3s joined, mono and stereo": lossy(
        lambda: mp3(tone(seconds=3)) + mp3(tone(seconds=3, channels=2)), 6, slack_s=0.3),
    "mp3s joined with a large picture between": lossy(
        lambda: 2 * (cover(300_000) + mp3(tone(seconds=3))), 6, slack_s=0.3),
    "mp3 after much padding": lossy(lambda: id3() + b"\0" * 100_000 + coded("MP3")),
    "mp3 with id3": lossy(lambda: id3(5000) + coded("MP3")),
    "mp3 with id3v1 and ape tags": lossy(
        lambda: coded("MP3") + ape_tag() + b"TAG" + b"Tone".ljust(125, b"\0")
    ),
    "mp3 after garbage": lossy(lambda: b"\0" * 700 + coded("MP3")),
    "voc": Case(lambda: coded("VOC")),
    "ircam": Case(lambda: coded("IRCAM")),
    "nist": Case(lambda: coded("NIST")),
    "svx": Case(lambda: coded("SVX")),
    "paf": Case(lambda: coded("PAF")),
    "mat5": Case(lambda: coded("MAT5")),
}  # fmt: skip


@pytest.mark.parametrize("name", VALID)
def test_odd_but_valid_recordings_are_read_whole_and_at_their_level(name: str, tmp_path):
    case = VALID[name]
    file = tmp_path / "sound.mp3"  # the extension is wrong for all but one: content counts
    file.write_bytes(case.make())
    with warnings.catch_warnings():
        warnings.simplefilter("error", AudioWarning)
        x = read_audio(file, min_seconds=0.0)
    assert abs(len(x) - case.seconds * RATE) <= max(1, case.slack_s * RATE)
    if len(x) > 100:  # resampling has its edges
        assert level_db(x) == pytest.approx(case.level_db, abs=case.slack_db)
    assert len(read_recording(file, damaged="refuse")) == len(x)


def test_the_table_of_valid_recordings_is_long():
    assert len(VALID) >= 60 and len(BROKEN) >= 30


def bad_samples(value: float) -> bytes:
    x = tone().astype(np.float32)
    x[100:103] = value
    return wav(body=x.astype("<f4").tobytes(), head=fmt(tag=3, bits=32))


def cut(data: bytes, share: float) -> bytes:
    return data[: int(share * len(data))]


def noise(kind: str, subtype: str | None = None) -> bytes:
    out, rng = io.BytesIO(), np.random.default_rng(0)
    soundfile.write(out, 0.1 * rng.standard_normal(4 * RATE), RATE, subtype, format=kind)
    return out.getvalue()


BROKEN: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "nothing": (lambda: b"", "is empty", "copy or record it again"),
    "text": (lambda: b"this is no sound at all\n" * 50, "cannot be decoded", "ffmpeg -i IN OUT"),
    "random bytes": (
        lambda: np.random.default_rng(1).bytes(5000), "cannot be decoded", "ffmpeg -i IN OUT"),
    "a pointer": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n",
        "git-LFS pointer", "git lfs pull"),
    "a web page": (lambda: b"<!DOCTYPE html><html>404</html>", "web page", "download it again"),
    "an xml error": (lambda: b"<?xml version='1.0'?><Error/>", "web page", "download it again"),
    "m4a": (lambda: b"\0\0\0\x20ftypM4A " + b"\0" * 99, "MP4 / M4A", "ffmpeg -i IN OUT.wav"),
    "webm": (lambda: b"\x1aE\xdf\xa3" + b"\0" * 99, "WebM", "ffmpeg -i IN OUT.wav"),
    "wma": (lambda: b"0&\xb2u\x8ef\xcf\x11" + b"\0" * 99, "WMA", "ffmpeg -i IN OUT.wav"),
    "amr": (lambda: b"#!AMR\n" + b"\0" * 99, "AMR", "ffmpeg -i IN OUT.wav"),
    "aac": (lambda: b"\xff\xf1\x50\x80" + b"\0" * 99, "AAC", "ffmpeg -i IN OUT.wav"),
    "wavpack": (lambda: b"wvpk" + b"\0" * 99, "WavPack", "ffmpeg -i IN OUT.wav"),
    "midi": (lambda: b"MThd" + b"\0" * 99, "MIDI", "render it to sound"),
    "zip": (lambda: b"PK\x03\x04" + b"\0" * 99, "ZIP archive", "unpack it"),
    "gzip": (lambda: b"\x1f\x8b\x08" + b"\0" * 99, "gzip", "unpack it"),
    "png": (lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "picture", "give the recording itself"),
    "jpeg": (lambda: b"\xff\xd8\xff\xe0" + b"\0" * 99, "picture", "give the recording itself"),
    "pdf": (lambda: b"%PDF-1.7\n" + b"\0" * 99, "PDF", "give the file itself"),
    "parquet": (lambda: b"PAR1" + b"\0" * 99, "Parquet", "give a recording"),
    "wav, header only": (lambda: wav(body=b""), "holds 0 ms", "record or export it again"),
    "wav, 20 samples": (lambda: wav(body=b"\0" * 40), "at least 25 ms", "record or export"),
    "wav without fmt": (lambda: wav(head=b""), "cannot be decoded", "ffmpeg -i IN OUT"),
    "wav, half of it": (lambda: cut(wav(), 0.5), "0.50 of 1.00 s are missing", "--damaged any"),
    "wav of 2,000,000,000 Hz": (
        lambda: wav(head=fmt(rate=2_000_000_000)), "2000000000 samples", "export it again"),
    "wav of 0 Hz": (lambda: wav(head=fmt(rate=0)), "decoded|claims 0", "export it|ffmpeg"),
    "wav of 65,535 channels": (
        lambda: wav(head=fmt(channels=65535, bits=8)), "65535 channels|decoded", "extract|ffmpeg"),
    "wav of nan": (lambda: bad_samples(np.nan), "3 samples that are NaN", "export it again"),
    "wav of inf": (lambda: bad_samples(np.inf), "3 samples that are NaN", "export it again"),
    "wav behind the reply of a server": (
        lambda: b"HTTP/1.1 200 OK\r\n\r\n" + wav(), "19 bytes that are no sound", "tail -c .20 IN"),
    "aiff, half of it": (lambda: cut(aiff(), 0.5), "of 1.00 s are missing", "--damaged any"),
    "au, half of it": (lambda: cut(au(32000), 0.5), "of 1.00 s are missing", "--damaged any"),
    "caf, half of it": (lambda: cut(coded("CAF"), 0.5), "s are missing", "--damaged any"),
    "w64, half of it": (lambda: cut(coded("W64"), 0.5), "s are missing", "--damaged any"),
    "rf64, half of it": (lambda: cut(coded("RF64"), 0.5), "s are missing", "--damaged any"),
    "flac, half of it": (lambda: cut(noise("FLAC"), 0.5), "of 4.00 s are missing", "--damaged any"),
    "mp3, half of it": (lambda: cut(noise("MP3"), 0.5), "s are missing", "--damaged any"),
    "flac, header only": (lambda: coded("FLAC")[:60], "decoded|holds 0", "copy|record"),
    "ogg, header only": (lambda: coded("OGG")[:60], "decoded|holds 0", "copy|record"),
    "alac, half of it": (
        lambda: cut(coded("CAF", "ALAC_16"), 0.5), "decoded|missing", "copy or download|--damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_recordings_are_refused_with_a_remedy(name: str, tmp_path):
    make, what, remedy = BROKEN[name]
    file = tmp_path / "bad.wav"
    file.write_bytes(make())
    with pytest.raises(AudioError) as error:
        read_audio(file)
    said = str(error.value)
    assert said.startswith(str(file)) and re.search(what, said) and re.search(remedy, said)


CUT = {
    "wav": wav, "aiff": aiff, "au": lambda: au(32000), "caf": lambda: coded("CAF"),
    "w64": lambda: coded("W64"), "rf64": lambda: coded("RF64"), "flac": lambda: noise("FLAC"),
    "mp3": lambda: mp3(tone(seconds=4)), "ogg": lambda: noise("OGG"),
    "opus": lambda: noise("OGG", "OPUS"),
}  # fmt: skip


@pytest.mark.parametrize("name", CUT)
def test_a_file_cut_by_a_few_bytes_is_read_and_what_is_missing_is_said(name: str):
    data = CUT[name]()
    whole = read_encoded(data, name)
    by = 9 if name == "w64" else 7
    with pytest.warns(AudioWarning, match=f"^{name} is truncated: .*; what is there is read"):
        x = read_encoded(data[:-by], name)
    assert 0.7 * len(whole) < len(x) < len(whole)
    n = min(len(x), int(0.7 * len(whole)))
    np.testing.assert_allclose(x[:n], whole[:n], atol=1e-3)
    with pytest.raises(AudioError, match="--damaged any"):
        read_encoded(data[:-by], name, damaged="refuse")


EARLY = {
    "wav": lambda: wav(claims=8000, riff=8036),
    "wav of riff length 0": lambda: wav(claims=8000, riff=0),
    "aiff": lambda: aiff(claims=8008), "au": lambda: au(8000),
}  # fmt: skip


@pytest.mark.parametrize("name", EARLY)
def test_sound_behind_the_end_that_a_header_states_is_read_with_a_warning(name: str):
    with pytest.warns(AudioWarning, match=r"more than its header says: 0\.25 of 1\.00 s"):
        assert len(read_encoded(EARLY[name](), name)) == RATE


@pytest.mark.parametrize("claims", [5 * 2**30 % 2**32, 0xFFFFFFFF])
def test_a_wav_of_5_gib_has_all_its_samples(claims: int, tmp_path):
    head = wav(head=fmt(rate=48000, channels=2), body=b"", claims=claims, riff=claims)
    file = tmp_path / "large.wav"
    file.write_bytes(head)
    os.truncate(file, len(head) + 5 * 2**30)  # takes no room on the disk
    with file.open("rb") as sound:
        decoder = Decoder(sound, file.stat().st_size)
        assert decoder.frames == 5 * 2**30 // 4 and decoder.lost == 0


@pytest.mark.parametrize("tail", [b"", ID3V1])
def test_a_flac_of_unknown_length_that_was_cut_says_so(tail: bytes):
    data = flac_of_unknown_length()
    with pytest.warns(AudioWarning, match="page or frame does not end the stream after 0.75 s"):
        assert len(read_encoded(data[:-30] + tail, "cut")) == 0.75 * RATE


def test_a_joined_recording_that_cannot_be_decoded_is_told():
    with pytest.warns(AudioWarning, match="is truncated"):
        assert len(read_encoded(coded("OGG") + coded("OGG")[:60], "chain")) == RATE


@pytest.mark.parametrize("offset", [0.0, 0.005, 0.2])
def test_channels_that_cancel_are_told_whatever_offset_they_share(offset: float):
    x = 0.02 * np.random.default_rng(0).standard_normal(2 * RATE)
    data = wav(body=pcm(np.stack([x + offset, offset - x], 1)), head=fmt(channels=2))
    with pytest.warns(AudioWarning, match="in opposite phase for 2.0 of 2.0 s"):
        read_encoded(data, "phase")


def test_what_is_left_of_half_a_file_is_read_when_asked_for():
    with pytest.warns(AudioWarning, match=r"0\.50 of 1\.00 s are missing"):
        assert len(read_encoded(cut(wav(), 0.5), "half", damaged="any")) == pytest.approx(7990, 1)


def test_an_ogg_stream_without_its_end_is_read_whole():
    data = noise("OGG")
    with pytest.warns(AudioWarning, match="does not end the stream after 4.00 s"):
        x = read_encoded(ogg_without_end(data), "radio")
    np.testing.assert_array_equal(x, read_encoded(data, "whole"))


def test_an_mp3_cut_in_its_middle_says_how_many_seconds_are_missing():
    frames = mp3_frames(mp3(tone(seconds=4)))
    data = b"".join(frames[: len(frames) - 3])
    with pytest.warns(AudioWarning, match=r"0\.1\d of 4\.0\d s are missing"):
        assert len(read_encoded(data, "cut")) == pytest.approx(3.9 * RATE, rel=0.02)
