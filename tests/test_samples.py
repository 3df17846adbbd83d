"""From file to samples: channels, rates, pipes, and recordings that stay on the disk."""

import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import soundfile
from fixture_recordings import RATE, coded, fmt, level_db, pcm, tone, varied, wav
from scipy.signal import resample_poly

from auscult.audio.io import AudioWarning, read_audio, read_encoded, read_recording
from auscult.audio.read.decode import Resampler

# ---------------------------------------------------------------------------- channels


def stereo(left: np.ndarray, right: np.ndarray) -> bytes:
    body = pcm(np.stack([left, right], axis=1)).ljust(0)
    return wav(body=body, head=fmt(channels=2))


def test_channels_in_opposite_phase_give_the_louder_one_and_a_warning():
    x = tone()
    said = "in opposite phase for 1.0 of 1.0 s and would cancel .* channel 2, the loudest"
    with pytest.warns(AudioWarning, match=said):
        y = read_encoded(stereo(0.5 * x, -0.6 * x), "phase")
    np.testing.assert_allclose(y, -0.6 * x, atol=1e-4)


def test_channels_that_cancel_for_a_part_are_not_mixed_either():
    x, sign = tone(seconds=2), np.repeat([1.0, -1.0], RATE)
    with pytest.warns(AudioWarning, match="opposite phase for 1.0 of 2.0 s"):
        y = read_encoded(stereo(x, sign * x), "phase")
    assert level_db(y) == pytest.approx(-9.03, abs=0.1)


@pytest.mark.parametrize("kind", ["alike", "strangers", "one silent", "both silent", "delayed"])
def test_channels_that_do_not_cancel_are_averaged_in_silence(kind: str):
    rng = np.random.default_rng(2)
    a = 0.1 * rng.standard_normal(RATE)
    b = {"alike": a, "strangers": 0.1 * rng.standard_normal(RATE), "one silent": 0 * a,
         "both silent": 0 * a, "delayed": np.roll(a, 40)}[kind]  # fmt: skip
    a = 0 * a if kind == "both silent" else a
    with warnings.catch_warnings():
        warnings.simplefilter("error", AudioWarning)
        y = read_encoded(stereo(a, b), kind)
    np.testing.assert_allclose(y, (a + b) / 2, atol=1e-4)


# ---------------------------------------------------------------------------- rates and pipes


@pytest.mark.parametrize("rate", [8000, 11027, 22050, 44100, 48000, 384000])
@pytest.mark.parametrize("block", [1, 4096, 100_000])
def test_resampling_in_blocks_equals_resampling_the_whole(rate: int, block: int):
    n = 20_011 if block == 1 else 20 * rate + 17
    x = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    common = int(np.gcd(rate, RATE))
    wanted = resample_poly(x, RATE // common, rate // common)
    resampler = Resampler(rate, RATE)
    parts = [p for at in range(0, n, block) for p in resampler.feed(x[at : at + block])]
    np.testing.assert_allclose(np.concatenate([*parts, *resampler.end()]), wanted, atol=2e-6)


READ = (
    "import sys; from auscult.audio.io import read_audio; x = read_audio(sys.argv[1]);"
    "print(len(x), round(float(abs(x).max()), 3))"
)


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3"])
def test_a_recording_may_come_from_standard_input(path: str, kind: str):
    done = subprocess.run([sys.executable, "-c", READ, path], input=coded(kind, seconds=2),
                          capture_output=True, check=True)  # fmt: skip
    assert int(done.stdout.split()[0]) == pytest.approx(2 * RATE, rel=0.05)


def test_a_recording_may_come_from_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(wav(claims=0xFFFFFFFF)))
    writer.start()
    assert len(read_audio(pipe)) == RATE
    writer.join()


def test_nothing_on_standard_input_is_an_error_that_says_so():
    done = subprocess.run([sys.executable, "-c", READ, "-"], input=b"", capture_output=True)
    assert b"standard input is empty (0 bytes): nothing was piped into it" in done.stderr


def test_a_recording_on_the_disk_is_what_is_read_into_memory(tmp_path):
    file = tmp_path / "long.wav"
    x = 4 * tone(seconds=70)  # over a minute, and over full scale
    soundfile.write(file, x, RATE, subtype="FLOAT")
    recording, whole = read_recording(file), read_audio(file)
    assert len(recording) == len(whole) == 70 * RATE
    np.testing.assert_array_equal(recording.read(0, len(recording)), whole)
    np.testing.assert_array_equal(recording.read(12_345, 56_789), whole[12_345:56_789])
    assert len(recording.read(69 * RATE, 99 * RATE)) == RATE


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_a_long_mp3_is_the_same_in_blocks_and_at_once(mode: str):
    import io

    from fixture_recordings import mp3

    data = mp3(0.1 + varied(), mode, 0.0)
    whole = soundfile.read(io.BytesIO(data), dtype="float32")[0]
    np.testing.assert_allclose(read_encoded(data, "long"), whole, atol=1e-5)
