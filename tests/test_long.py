"""Long recordings: measured in windows, in bounded memory, and to the same values."""

import gc
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import REAL
from inspect_ai.model import ChatMessageUser, ContentAudio

from auscult.audio.io import read_audio
from auscult.cli import main
from auscult.engine import Engine
from auscult.evaluate.provider import turn_of
from auscult.types import Reply, Turn
from auscult.verify.hear.combine import by_energy, commonest, typical
from auscult.verify.hear.listening import Listening, Refused, Window
from auscult.verify.hear.long import Held, LongListening, Stretch, _Ear, edges, hear
from auscult.verify.hear.measures import MEASURES, take
from auscult.verify.verify import listen

RATE = 16000


def speech_like(seconds: float, seed: int = 0) -> np.ndarray:
    """Buzzes of 0.3 s at 120 to 220 Hz with rests between, in a little noise."""
    rng = np.random.default_rng(seed)
    x = 0.0003 * rng.standard_normal(round(seconds * RATE))
    at = 0.1
    while at < seconds - 0.5:
        t = np.arange(round(0.3 * RATE)) / RATE
        hz = rng.uniform(120, 220)
        buzz = sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 12))
        start = round(at * RATE)
        x[start : start + len(t)] += 0.1 * buzz * np.hanning(len(t))
        at += rng.uniform(0.55, 0.9)
    return x.astype(np.float32)


@pytest.fixture(scope="module")
def pair() -> tuple[Listening, LongListening]:
    """The same 18 s as a whole and in windows of 6 s."""
    x = speech_like(18)
    return Listening(x), LongListening(Held(x), window_s=6.0)


def test_a_clip_of_up_to_a_minute_is_heard_as_a_whole():
    assert type(hear(Held(speech_like(5)))) is Listening
    assert type(hear(Held(np.zeros(60 * RATE, dtype=np.float32)))) is Listening
    assert type(hear(Held(np.zeros(61 * RATE, dtype=np.float32)))) is LongListening
    assert type(listen([np.zeros(61 * RATE, dtype=np.float32)])[0]) is LongListening


def test_windows_follow_each_other_and_meet_where_it_is_quiet():
    x = speech_like(60)
    cuts = edges(Held(x), 10.0)
    assert cuts[0] == 0 and cuts[-1] == len(x) and len(cuts) == 7
    assert all(5 * RATE < b - a < 15 * RATE for a, b in pairwise(cuts))
    for cut in cuts[1:-1]:
        assert cut % 800 == 0 and np.abs(x[cut - 160 : cut + 160]).max() < 0.01


def test_silence_and_a_lasting_tone_have_windows_too():
    tone = 0.3 * np.sin(2 * np.pi * 200 * np.arange(16 * RATE) / RATE).astype(np.float32)
    for x in (tone, 0 * tone):
        assert len(edges(Held(x), 4.0)) == 5
    ear = LongListening(Held(0 * tone[: 5 * RATE]), window_s=2.0)
    assert ear.silent and take(ear, "loudness").refused and not ear.sounds


CLOSE = {
    "duration": 0.0, "sounding": 0.05, "pitch": 1.0, "pitch_range": 1.5, "loudness": 0.15,
    "active": 0.3, "pauses": 1.0, "brightness": 40.0, "hnr": 0.5, "periodicity": 0.01, "snr": 3.0,
    "roughness": 0.5, "cpps": 1.0,
}  # fmt: skip


@pytest.mark.parametrize("name", CLOSE)
def test_windows_and_the_whole_agree(name: str, pair):
    whole, windows = take(pair[0], name), take(pair[1], name)
    assert not windows.refused
    assert windows.value == pytest.approx(whole.value, abs=CLOSE[name] + 1e-9)


@pytest.mark.parametrize("name", ["pitch_course", "level_course", "spacing", "tempo_course"])
def test_the_words_of_windows_and_of_the_whole_agree(name: str, pair):
    assert take(pair[1], name).value == take(pair[0], name).value


def test_sounds_have_their_times_in_the_recording(pair):
    whole, windows = ([s.start_s for s in ear.sounds] for ear in pair)
    assert abs(len(whole) - len(windows)) <= 2
    near = [min(abs(a - b) for b in whole) for a in windows]
    assert np.mean(np.array(near) < 0.02) > 0.95


def test_one_window_is_the_clip_itself():
    x = speech_like(4)
    one, clip = LongListening(Held(x), window_s=8.0), Listening(x)
    for name in MEASURES:
        a, b = take(one, name), take(clip, name)
        if isinstance(b.value, float):
            assert a.value == pytest.approx(b.value, rel=1e-4), name
        elif name != "background":
            assert a.value == b.value, name


def test_a_stretch_is_measured_exactly(pair):
    whole, windows = (ear.within((3.0, 7.0)) for ear in pair)
    np.testing.assert_array_equal(whole.clip, windows.clip)
    assert isinstance(pair[1].within((0.0, 12.0)), LongListening)
    assert pair[1].within((0.0, 12.0)).seconds == 12
    with pytest.raises(Refused, match=r"lies outside the recording of 18\.00 s"):
        pair[1].within((40.0, 41.0))


def test_of_a_long_recording_nothing_but_numbers_stays(pair):
    x = speech_like(18)
    ear = LongListening(Held(x), window_s=3.0)
    kept = sum(v.nbytes for h in ear._heard for v in h.envelopes.values())
    kept += sum(t.hz.nbytes * 5 for h in ear._heard for t in h.tracks.values())
    assert len(ear.windows) == 6 and kept < x.nbytes / 6
    gc.collect()
    assert not [o for o in gc.get_objects() if isinstance(o, _Ear)]


def test_samples_of_a_long_recording_are_refused_with_a_hint(pair):
    with pytest.raises(Refused, match="ask for a stretch"):
        _ = pair[1].clip


def test_a_course_is_that_of_the_recording_and_not_of_its_windows():
    x = speech_like(12) * np.linspace(0.05, 1, 12 * RATE, dtype=np.float32)
    ear = LongListening(Held(x), window_s=4.0)
    assert take(ear, "level_course").value == "rising"
    assert take(ear, "level_change").value > 15


def window(energy: float = 1.0, silent: bool = False) -> Window:
    return Window(start_s=0.0, seconds=60.0, energy=energy, silent=silent)


def test_a_value_speaks_for_a_recording_if_half_of_its_windows_with_sound_have_it():
    none, four = Refused("no"), [window()] * 4
    assert typical([1.0, 2.0, 9.0, none], four) == 2.0
    with pytest.raises(Refused, match=r"about 1\.00 in 1 of 4 windows only; measure a stretch"):
        typical([1.0, none, none, none], four)
    assert typical([1.0, none], [window(), window(silent=True)]) == 1.0
    with pytest.raises(Refused, match=r"^no$"):
        typical([none, none], four[:2])
    assert commonest(["a", "b", "a", "a"], four) == "a"
    with pytest.raises(Refused, match="a in 1 of 4 windows only"):
        commonest(["a", "b", "c", "d"], four)
    assert by_energy([100.0, 400.0], [window(3.0), window(1.0)]) == 175.0


def test_a_stretch_of_a_source_ends_where_it_ends():
    part = Stretch(Held(np.arange(100, dtype=np.float32)), 20, 50)
    assert len(part) == 30 and part.read(25, 99).tolist() == [45, 46, 47, 48, 49]


@pytest.fixture
def long_file(tmp_path, monkeypatch):
    """A recording that is long because windows are short here."""
    monkeypatch.setattr("auscult.verify.hear.long.WINDOW_S", 5.0)
    soundfile.write(tmp_path / "long.wav", speech_like(6), RATE)
    return tmp_path / "long.wav"


def test_measure_tells_what_windows_say(capsys, long_file):
    assert main(["measure", str(long_file)]) == 0
    out, err = capsys.readouterr()
    assert "(6.00 s, 0:00:06; heard in 2 windows)" in out
    assert "listening to 0 min" in err and "2/2" in err
    (pitch,) = (line for line in out.splitlines() if line.startswith("  pitch  "))
    assert " in 2 windows" in pitch
    assert sum(line.startswith("    0:0") for line in out.splitlines()) == 2
    assert max(map(len, out.splitlines())) < 200  # no list of a hundred values


def test_measure_gives_all_windows_as_json_and_one_stretch(capsys, long_file):
    assert main(["measure", str(long_file), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert len(record["windows"]) == 2 and record["windows"][1]["end"] == 6.0
    assert record["spread"]["pitch"]["low"] <= record["spread"]["pitch"]["high"]
    assert main(["measure", str(long_file), "--span", "1", "3", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["measured"][0]["value"] == 2.0 and "windows" not in record


def test_check_hears_a_long_recording_in_windows(capsys, long_file, tmp_path):
    page, plot = tmp_path / "a.html", tmp_path / "a.png"
    thought = "The recording lasts 6 seconds. It lasts 20 seconds."
    args = ["check", str(long_file), "--text", thought, "--html", str(page), "--plot", str(plot)]
    assert main(args) == 0
    out = capsys.readouterr().out
    assert "supported: claimed duration 6" in out and "contradicted: claimed duration 20" in out
    assert "data:audio/mpeg;base64" in page.read_text() and plot.stat().st_size > 5_000


def test_check_gives_a_model_a_long_clip_in_pieces(capsys, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.zeros(60 * RATE), RATE)
    given: list[Turn] = []

    def reply(self: Engine, conversations: list[list[Turn]]) -> list[Reply]:
        given.extend(conversations[0])
        return [
            Reply(thought="It is silent.", answer="silence", tokens=(), logprobs=(), forced=(),
                  stop="end", closed="model", thought_tokens=3)
        ]  # fmt: skip

    monkeypatch.setattr(Engine, "reply", reply)
    assert main(["check", str(tmp_path / "a.wav"), "--model", "nano", "--question", "What?"]) == 0
    assert [len(clip) / RATE for clip in given[0].clips] == [25.0, 25.0, 10.0]
    assert "answer: silence" in capsys.readouterr().out


def test_our_provider_gives_a_long_sound_in_pieces(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(60 * RATE), RATE)
    sound = ContentAudio(audio=str(tmp_path / "a.wav"), format="wav")
    turn = turn_of(ChatMessageUser(content=[sound]))
    assert [len(clip) / RATE for clip in turn.clips] == [25.0, 25.0, 10.0]


# The high-water mark of this program alone: `ru_maxrss` remembers the process that started it.
MEMORY = (
    "import re, sys; from auscult.cli import main; code = main(sys.argv[1:]);"
    "peak = int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) >> 10;"
    "print('peak', peak, file=sys.stderr); sys.exit(code)"
)


def peak_mb(*args: str) -> int:
    done = subprocess.run([sys.executable, "-c", MEMORY, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stderr.rsplit("peak ", 1)[1])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("verb", ["measure", "check"])
def test_an_hour_takes_less_than_a_gigabyte(verb: str, tmp_path):
    file = tmp_path / "hour.wav"
    x = speech_like(300)
    with soundfile.SoundFile(file, "w", RATE, 1) as out:
        for _ in range(12):
            out.write(x)
    more = ["--text", "The pitch is about 160 Hz."] if verb == "check" else []
    assert peak_mb(verb, str(file), *more) < 1000


@pytest.mark.skipif(not REAL.is_dir(), reason="real recordings are not beside the checkout")
def test_windows_and_the_whole_agree_on_real_speech():
    files = sorted((REAL / "fsdd").glob("*_jackson_*.wav"))[:20]
    x = np.concatenate([part for f in files for part in (read_audio(f), np.zeros(4000))])
    x = (x + 0.0003 * np.random.default_rng(0).standard_normal(len(x))).astype(np.float32)
    whole, windows = Listening(x), LongListening(Held(x), window_s=4.0)
    for name, slack in {"pitch": 3.0, "loudness": 0.3, "active": 1.0, "hnr": 1.0}.items():
        assert take(windows, name).value == pytest.approx(take(whole, name).value, abs=slack)
