"""Files to sound, sound to features: every format, and every kind of bad input."""

import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import soundfile
from conftest import REAL
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import WhisperFeatureExtractor

from auscult.audio.io import AudioError, chunks, read_audio, write_audio
from auscult.audio.mel import TAIL_PAD, frame_count, log_mel, mel_filters
from auscult.audio.speech import available


def tone(rate: int, seconds: float = 0.5, hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def strongest_hz(x: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(x * np.hanning(len(x))))) * 16000 / len(x))


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_every_format_and_rate_becomes_16_khz_mono_with_the_same_pitch(kind, rate, tmp_path):
    file = tmp_path / "sound.bin"  # told by content, not by name
    soundfile.write(file, tone(rate), rate, format=kind)
    x = read_audio(file)
    assert x.dtype == np.float32 and x.ndim == 1
    assert len(x) == pytest.approx(8000, rel=0.15 if kind == "MP3" else 0.001)
    assert strongest_hz(x) == pytest.approx(440, abs=6)


def test_an_mp3_named_wav_is_read(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(24000), 24000, format="MP3")
    assert strongest_hz(read_audio(tmp_path / "a.wav")) == pytest.approx(440, abs=6)


@pytest.mark.parametrize("channels", [1, 2, 6, 33])
def test_channels_are_averaged(channels: int, tmp_path):
    x = np.stack([tone(16000) * (i + 1) / channels for i in range(channels)], axis=1)
    soundfile.write(tmp_path / "a.wav", x, 16000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), x.mean(axis=1), atol=1e-6)


def test_an_odd_rate_keeps_the_length(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(11027), 11027)
    assert len(read_audio(tmp_path / "a.wav")) == pytest.approx(8000, abs=2)


def test_loud_float_files_are_scaled_into_range(tmp_path):
    soundfile.write(tmp_path / "a.wav", 8 * tone(16000), 16000, subtype="FLOAT")
    assert 0.99 <= np.abs(read_audio(tmp_path / "a.wav")).max() <= 1.0


def wav_header(*, rate: int = 16000, channels: int = 1, bits: int = 16, data: int = 3200) -> bytes:
    block = min(channels * bits // 8, 65535)
    fmt = struct.pack("<HHIIHH", 1, channels, rate, min(rate * block, 2**32 - 1), block, bits)
    return (
        b"RIFF" + struct.pack("<I", min(36 + data, 2**32 - 1)) + b"WAVEfmt "
        + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", data)
    )  # fmt: skip


def test_missing_files_and_folders_are_told_apart_from_sound(tmp_path):
    for path in (tmp_path / "no.wav", tmp_path):
        with pytest.raises(AudioError, match="is not a file"):
            read_audio(path)


def test_an_hour_is_refused_without_being_read(tmp_path):
    file = tmp_path / "hour.flac"
    with soundfile.SoundFile(file, "w", 8000, 1, format="FLAC") as out:
        for _ in range(60):
            out.write(np.zeros(8000 * 60, dtype=np.int16))
    tracemalloc.start()
    with pytest.raises(AudioError, match=r"3600 s long; at most 1800 s.*cut it into parts"):
        read_audio(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


def test_a_header_that_lies_about_its_length_cannot_exhaust_memory(tmp_path):
    file = tmp_path / "a.wav"
    file.write_bytes(wav_header(data=0xFFFFFFFF) + b"\1\0" * 32000)  # a streaming writer's header
    assert len(read_audio(file)) == 32000
    with pytest.raises(AudioError, match="long; at most 1 s"):
        read_audio(file, max_seconds=1.0)


@given(st.integers(400, 2_000_000), st.sampled_from([1.0, 5.0, 25.0]))
@settings(max_examples=60, deadline=None)
def test_chunks_partition_the_sound_and_none_is_empty(samples: int, seconds: float):
    x = np.arange(samples, dtype=np.float32)
    pieces = chunks(x, seconds)
    assert all(400 <= len(p) <= seconds * 16000 for p in pieces)
    np.testing.assert_array_equal(np.concatenate(pieces), x)
    assert len(pieces) == -(-samples // round(seconds * 16000))


def test_writing_and_reading_is_a_round_trip(tmp_path):
    x = tone(16000)
    write_audio(tmp_path / "a.flac", x)
    np.testing.assert_allclose(read_audio(tmp_path / "a.flac"), x, atol=1 / 32000)


@pytest.mark.parametrize("samples", [16000, 16001, 23456, 80000, 400])
def test_log_mel_equals_whisper_large_v3(samples: int, rng: np.random.Generator):
    oracle = WhisperFeatureExtractor(feature_size=128)
    x = (0.1 * rng.standard_normal(samples)).astype(np.float32)
    theirs = oracle(x, sampling_rate=16000, return_tensors="pt", padding="longest")
    ours = log_mel(np.pad(x, (0, -samples % 160 if samples % 160 else 0)), tail_pad=0)
    theirs = theirs.input_features[0][:, : ours.shape[1]]
    frames = min(theirs.shape[1], samples // 160 - 1)  # the last frames see the padding
    assert float((ours[:, :frames] - theirs[:, :frames]).abs().max()) <= 1e-6


def test_mel_filters_equal_whispers():
    oracle = WhisperFeatureExtractor(feature_size=128).mel_filters
    np.testing.assert_allclose(mel_filters().numpy(), oracle.T, atol=1e-7)


@given(st.integers(400, 40000))
@settings(max_examples=30, deadline=None)
def test_frame_count_is_the_number_of_frames(samples: int):
    assert log_mel(np.zeros(samples, dtype=np.float32)).shape == (128, frame_count(samples))
    assert frame_count(samples) == (samples + TAIL_PAD) // 160


@pytest.mark.skipif(not REAL.is_dir(), reason="real recordings are not beside the checkout")
def test_all_real_recordings_are_read():
    files = sorted(REAL.glob("**/*.wav"))[::25] + sorted(REAL.glob("step_audio_examples/*.wav"))
    for file in files:
        x = read_audio(file)
        assert len(x) > 1600 and np.abs(x).max() <= 1.0
        assert all(len(c) for c in chunks(x))


@pytest.mark.skipif(not available(), reason="the extra [speech] is not installed")
def test_words_sound_the_same_whatever_was_said_before():
    """The library keeps state; every utterance must be a function of its request alone."""
    program = (
        "import hashlib, sys\n"
        "from auscult.audio.speech import Manner, say\n"
        "for word in sys.argv[1:]:\n"
        "    text, voice = word.split('/')\n"
        "    x = say(text, Manner(voice=voice))\n"
        "    print(word, hashlib.sha256(x.tobytes()).hexdigest())\n"
    )
    words = ["three/en-us", "my voice is low/en+f2", "seven/en-us+whisper", "two/en-us+m3"]
    runs = [
        subprocess.run(
            [sys.executable, "-c", program, *order], capture_output=True, text=True, check=True
        ).stdout
        for order in (words, words[::-1])
    ]
    assert sorted(runs[0].splitlines()) == sorted(runs[1].splitlines())
