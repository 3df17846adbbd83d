"""Loudness, pitch, music and manner of speaking, against sounds whose truth is exact.

The targets are those of the survey of methods behind them; the wide sweeps are marked slow.
"""

from collections.abc import Iterator
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auscult.audio import speech, synth
from auscult.audio.hear import loudness, music, pitch, speaking
from auscult.audio.hear.measure import Pitch
from auscult.audio.synth import NOTE_NAMES, SAMPLE_RATE, TIMBRES, gain, lay, note_hz, times, tone
from auscult.audio.voice import VOWELS, contour, tremble, vowel
from auscult.types import Audio

slow = pytest.mark.slow
needs_speech = pytest.mark.skipif(not speech.available(), reason="no extra [speech]")


def sine(hz: float, peak_db: float, duration_s: float) -> Audio:
    t = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    return (10 ** (peak_db / 20) * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def white(seed: int, duration_s: float, db: float = -20.0) -> Audio:
    rng = np.random.default_rng(seed)
    return gain(rng.standard_normal(round(duration_s * SAMPLE_RATE), dtype=np.float32), db)


def in_noise(x: Audio, snr_db: float | None, seed: int = 0) -> Audio:
    if snr_db is None:
        return x
    return x + white(seed, len(x) / SAMPLE_RATE, synth.rms_db(x) - snr_db)[: len(x)]


NOTHING = {
    "empty": np.zeros(0, np.float32),
    "one zero": np.zeros(1, np.float32),
    "one sample": np.full(1, 0.3, np.float32),
    "10 ms": white(0, 0.01),
    "silence": np.zeros(SAMPLE_RATE, np.float32),
}
NAN = (speaking.syllable_rate, speaking.cpps_db, speaking.snr_db, speaking.roughness)


@pytest.mark.parametrize("name", list(NOTHING))
def test_where_nothing_sounds_nothing_is_measured(name: str):
    x = NOTHING[name]
    assert np.isnan([loudness.lufs(x), *(f(x) for f in NAN)]).all()
    assert np.isnan(speaking.amplitude_modulation(x)).all()
    assert np.all(loudness.momentary_lufs(x) < -100)
    track = pitch.pitch_track(x)
    assert len(track.hz) >= 1 and not track.periodicity.any() and np.isnan(track.hz).all()
    assert not music.chroma(x).any()
    assert music.key(x) is music.chord(x) is music.tempo(x) is None
    assert speaking.activity(x) == speaking.pauses(x) == []


def test_steady_noise_is_one_stretch_without_pitch_key_chord_tempo_or_rests():
    for seed in range(4):
        x = white(seed, 8.0)
        assert music.key(x) is music.chord(x) is music.tempo(x) is None
        assert speaking.activity(x) == [(0.0, 8.0)] and speaking.pauses(x) == []
        assert speaking.syllable_rate(x) < 0.3 and np.isnan(speaking.snr_db(x))
        assert speaking.amplitude_modulation(x)[1] < 0.3 and speaking.roughness(x) < 0.8


@pytest.mark.parametrize("peak_db", [0.0, -23.0, -40.0])
def test_a_997_hz_sine_reads_its_peak_less_3_01(peak_db: float):
    assert loudness.lufs(sine(997, peak_db, 3.0)) == pytest.approx(peak_db - 3.01, abs=0.02)


def test_quiet_ends_are_gated_as_in_ebu_tech_3341_case_3():
    x = np.concatenate([sine(1000, -36, 2.0), sine(1000, -23, 12.0), sine(1000, -36, 2.0)])
    assert loudness.lufs(x) == pytest.approx(-23 - 3.01, abs=0.1)  # one channel: 3.01 less
    whole = loudness.momentary_lufs(x)
    assert len(whole) == 157
    np.testing.assert_allclose(whole[[0, 80, -1]], [-39.01, -26.01, -39.01], atol=0.05)


def test_low_notes_count_less_and_high_ones_more():
    levels = [loudness.lufs(sine(hz, -20, 1.0)) + 23.01 for hz in (38.0, 997.0, 4000.0)]
    # Response of the two filters of the standard at 48 kHz, less 0.691 dB.
    np.testing.assert_allclose(levels, [-6.71, 0.0, 3.31], atol=0.1)


@settings(max_examples=25, deadline=None)
@given(st.floats(-30, 20), st.integers(0, 5))
def test_gain_moves_loudness_by_itself(db: float, seed: int):
    x = white(seed, 0.8, -25.0)
    assert loudness.lufs(gain(x, db)) - loudness.lufs(x) == pytest.approx(db, abs=1e-4)


def share_within_50_cents(track: Pitch, hz: Audio, voiced: np.ndarray) -> float:
    """Of the truly voiced frames, those found voiced and at most 50 cents off."""
    at = np.minimum((track.times_s * SAMPLE_RATE).astype(int), len(hz) - 1)
    near = np.abs(1200 * np.log2(track.hz / hz[at])) < 50
    return float(np.mean((near & (track.periodicity > 0))[voiced[at]]))


def sung(seed: int, snr_db: float | None) -> float:
    """A moving voice, every second one with vibrato of a semitone, between two rests."""
    rng = np.random.default_rng(seed)
    hz = contour(1.2, list(rng.uniform(-5, 5, 4)), float(np.exp(rng.uniform(4.3, 6.0))))
    if seed % 2:
        hz = tremble(hz, rng.uniform(5, 7), 1.0)
    hz = np.clip(hz, 62, 790).astype(np.float32)
    x = vowel(rng, hz, list(VOWELS)[seed % 5], breath=0.1 if seed % 3 == 0 else 0.02)
    voiced = np.pad(np.ones(len(hz), bool)[240:-240], 3440)
    noisy = in_noise(np.pad(x, 3200), snr_db, seed)
    return share_within_50_cents(pitch.pitch_track(noisy), np.pad(hz, 3200, "edge"), voiced)


def melody(seed: int, timbre: str, snr_db: float | None) -> float:
    """Eight legato notes from 65 to 1,000 Hz."""
    rng = np.random.default_rng(seed)
    notes = [note_hz(m) for m in rng.uniform(36, 83.2, 8)]
    n = round(rng.uniform(0.12, 0.4) * SAMPLE_RATE)
    x = in_noise(np.concatenate([tone(f, n / SAMPLE_RATE, timbre) for f in notes]), snr_db, seed)
    inside = np.abs(np.arange(len(x)) % n - n / 2) < n / 2 - 320
    hz = np.repeat(notes, n).astype(np.float32)
    return share_within_50_cents(pitch.pitch_track(x, high_hz=1050.0), hz, inside)


@pytest.mark.parametrize("seeds", [range(20), pytest.param(range(100, 250), marks=slow)])
@pytest.mark.parametrize("snr_db", [None, 10.0])
def test_voices_are_followed_within_50_cents(snr_db: float | None, seeds: range):
    assert np.mean([sung(i, snr_db) for i in seeds]) >= 0.98


@pytest.mark.parametrize("seeds", [range(4), pytest.param(range(100, 140), marks=slow)])
@pytest.mark.parametrize("snr_db", [None, 10.0])
@pytest.mark.parametrize("timbre", list(TIMBRES))
def test_melodies_are_followed_within_50_cents(timbre: str, snr_db: float | None, seeds: range):
    assert np.mean([melody(i, timbre, snr_db) for i in seeds]) >= 0.99


@pytest.mark.parametrize("kind", ["white", "rain", "wind"])
def test_noise_is_hardly_ever_voiced(kind: str):
    rng = np.random.default_rng(0)
    x = white(0, 10.0) if kind == "white" else synth.to_level(synth.BACKGROUNDS[kind](rng, 10), -20)
    assert np.mean(pitch.pitch_track(x).periodicity > 0) <= 0.03


SENTENCES = {
    "Seven large boats were sailing along the shore.": 11,
    "Please open the window and let in some air.": 11,
    "My uncle bought a wonderful yellow umbrella.": 13,
    "Ten small dogs ran home.": 5,
    "The train to the city leaves at nine.": 9,
    "The doctor will see you tomorrow afternoon.": 12,
    "Every animal in the forest was sleeping.": 12,
    "The museum opens again on Monday morning.": 13,
}
"""Text and number of syllables, counted by hand."""


def spoken(rng: np.random.Generator, text: str, rate: int) -> Audio:
    voice = speech.VOICES[int(rng.integers(len(speech.VOICES)))]
    manner = speech.Manner(voice=voice, rate=rate, pitch=int(rng.integers(20, 80)))
    return speech.say(text, manner)


def rates(count: int, snr_db: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Measured and true syllables per second."""
    rng = np.random.default_rng(1)
    measured, true = [], []
    for i in range(count):
        text, syllables = list(SENTENCES.items())[i % len(SENTENCES)]
        x = spoken(rng, text, int(rng.integers(90, 330)))
        true.append(syllables * SAMPLE_RATE / len(x))
        noisy = in_noise(np.pad(x, 3200), 60.0 if snr_db is None else snr_db, i)
        measured.append(speaking.syllable_rate(noisy))
    return np.array(measured), np.array(true)


@needs_speech
@pytest.mark.parametrize("count", [20, pytest.param(120, marks=slow)])
@pytest.mark.parametrize("snr_db", [None, 10.0])
def test_faster_speech_has_more_syllables_per_second(snr_db: float | None, count: int):
    measured, true = rates(count, snr_db)
    assert np.corrcoef(measured, true)[0, 1] >= 0.9
    pairs = [(i, j) for i, j in permutations(range(count), 2) if true[i] > 1.25 * true[j]]
    assert np.mean([measured[i] > measured[j] for i, j in pairs]) >= 0.97


@needs_speech
def test_pitch_of_speech_agrees_with_praat():
    parselmouth = pytest.importorskip("parselmouth")
    near: list[np.ndarray] = []
    for i, text in enumerate(SENTENCES):
        x = spoken(np.random.default_rng(i), text, 170)
        sound = parselmouth.Sound(x.astype(float), SAMPLE_RATE)
        other = sound.to_pitch_ac(time_step=0.01, pitch_floor=60, pitch_ceiling=800)
        hz, at = other.selected_array["frequency"], np.round(other.xs() / 0.01).astype(int)
        mine = pitch.pitch_track(x).hz[at]
        both = (hz > 0) & np.isfinite(mine)
        near.append(np.abs(1200 * np.log2(mine[both] / hz[both])) < 50)
    assert np.mean(np.concatenate(near)) >= 0.92


def scene(seed: int, snr_db: float) -> tuple[Audio, list[tuple[float, float]]]:
    """Three sentences with rests of 0.25 to 1 s in white noise."""
    rng = np.random.default_rng(seed)
    at, parts, truth = 0.5, [], []
    for text in rng.choice(list(SENTENCES), 3, replace=False):
        x = spoken(rng, str(text), 200)
        parts.append((at, x))
        truth.append((at, at + len(x) / SAMPLE_RATE))
        at = truth[-1][1] + rng.uniform(0.25, 1.0)
    clean = lay(parts, at)
    return clean + white(seed, at, -20 - snr_db)[: len(clean)], truth


@needs_speech
def test_sentences_and_the_pauses_between_them_are_told_apart():
    for seed in range(6):
        x, truth = scene(seed, 20.0)
        np.testing.assert_allclose(speaking.activity(x), truth, atol=0.13)
        assert len(speaking.pauses(x)) == 2


@needs_speech
@pytest.mark.parametrize(("snr_db", "bias"), [(30.0, 0.0), (20.0, 0.3), (10.0, 1.2), (5.0, 2.2)])
def test_signal_to_noise_ratio_has_the_bias_that_is_written_down(snr_db: float, bias: float):
    found = [speaking.snr_db(scene(seed, snr_db)[0]) for seed in range(3)]
    np.testing.assert_allclose(found, snr_db + bias, atol=1.0)


def test_beeps_are_stretches_and_the_rests_between_them_pauses():
    x = lay([(0.5, tone(500, 0.4)), (1.4, tone(700, 0.3)), (1.8, tone(700, 0.3))], 2.5)
    for quiet in (x, x + white(0, 2.5, -50.0)):
        np.testing.assert_allclose(speaking.activity(quiet), [(0.5, 0.9), (1.4, 2.1)], atol=0.025)
        np.testing.assert_allclose(speaking.pauses(quiet), [(0.9, 1.4)], atol=0.03)


def test_a_breathy_voice_has_the_lower_cepstral_peak_in_every_pair():
    for seed in range(30):
        hz = contour(1.0, [1, -2, 2], np.random.default_rng(seed).uniform(80, 300))
        name = list(VOWELS)[seed % 5]
        said = [vowel(np.random.default_rng(seed), hz, name, breath=b) for b in (0.02, 0.6)]
        modal, breathy = (speaking.cpps_db(in_noise(x, 30.0)) for x in said)
        assert modal > breathy + 2


CARRIERS = ("tone", "noise", "voice")


def wavering(carrier: str, hz: float, m: float, duration_s: float = 1.5) -> Audio:
    rng, t = np.random.default_rng(0), times(duration_s)
    if carrier == "voice":
        x = vowel(rng, np.full(len(t), 170, np.float32))
    else:
        x = sine(1000, 0, duration_s) if carrier == "tone" else rng.standard_normal(len(t))
    return synth.to_level((x * (1 + m * np.sin(2 * np.pi * hz * t))).astype(np.float32), -20)


def waver_db(m: float) -> float:
    """First Fourier coefficient of 20 log10(1 + m sin t)."""
    return 40 / np.log(10) * (1 - np.sqrt(1 - m * m)) / m


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("m", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("hz", [3.0, 6.0, 15.0, 40.0])
def test_tremolo_has_its_rate_and_the_depth_of_theory(carrier: str, hz: float, m: float):
    found_hz, depth_db = speaking.amplitude_modulation(wavering(carrier, hz, m))
    assert found_hz == pytest.approx(hz, abs=0.15)
    assert depth_db == pytest.approx(waver_db(m), rel=0.1, abs=0.25)


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("hz", [30.0, 45.0, 70.0])
def test_roughness_is_the_depth_of_theory_and_small_without_it(carrier: str, hz: float):
    assert speaking.roughness(wavering(carrier, hz, 0.0)) < 0.8
    assert speaking.roughness(wavering(carrier, hz, 0.5)) == pytest.approx(waver_db(0.5), rel=0.1)


def test_a_low_voice_is_not_rough_by_its_own_pitch_but_two_close_tones_are():
    for i, hz in enumerate((80.0, 110.0, 140.0, 200.0)):
        voice = vowel(np.random.default_rng(0), contour(1.0, [-2, 2], hz), list(VOWELS)[i])
        assert speaking.roughness(voice) < 1.0
    assert speaking.roughness(sine(1000, -20, 1.0) + sine(1070, -26, 1.0)) > 4


SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 11)}
DEGREES = {
    "major": ((0, 3, 4, 0), (0, 4, 5, 3), (0, 5, 3, 4), (0, 1, 4, 0), (0, 3, 0, 4)),
    "minor": ((0, 3, 4, 0), (0, 5, 3, 4), (0, 3, 0, 4), (0, 5, 4, 0), (0, 1, 4, 0)),
}
RHYTHMS = ((1, 1, 1, 1), (1, 0.5, 0.5, 1, 1), (0.5, 0.5, 1, 0.5, 0.5, 1), (2, 1, 1), (1.5, 0.5, 2))
Note = tuple[float, float, float, float]  # beat, length in beats, MIDI number, dB


def score(rng: np.random.Generator, bpm: float, tonic: int, mode: str, beats: int) -> list[Note]:
    """Bass, chords and a melody, with three styles of accompaniment."""
    scale, degrees = SCALES[mode], DEGREES[mode][rng.integers(5)]
    every = 4 if bpm >= 110 else 2
    step, bass = (1, 2, every)[rng.integers(3)], 1 + int(rng.integers(2))
    triads = [[scale[(d + k) % 7] + 12 * ((d + k) // 7) for k in (0, 2, 4)] for d in degrees]
    notes: list[Note] = []
    for b in range(beats):
        triad = triads[b // every % 4]
        notes += [(b, bass, 36 + tonic + triad[0] % 12, -2)] * (b % bass == 0)
        notes += [(b, step, 48 + tonic + n, -9) for n in triad if b % step == 0]
    b = 0.0
    while b < beats:
        for length in RHYTHMS[rng.integers(len(RHYTHMS))]:
            choice = triads[int(b) // every % 4] if b % 1 == 0 else scale
            midi = 60 + tonic + int(rng.choice(choice)) % 12 + 12 * int(rng.uniform() < 0.3)
            notes.append((b, length, midi, -5))
            b += length
    return notes


def drum_kit(rng: np.random.Generator, beats: int) -> Iterator[tuple[float, Audio]]:
    """Beat and sound: hats on every half beat, kick and snare in turn."""
    for half in range(2 * beats):
        hat = synth.band_noise(rng, 0.04, 5000, 7800) * np.exp(-times(0.04) * 60)
        yield half / 2, synth.to_level(hat, -32)
        if half % 4 == 0:
            yield half / 2, gain(synth.EVENTS["drum"](rng), -12)
        if half % 4 == 2:
            snare = synth.band_noise(rng, 0.12, 400, 5000) * np.exp(-times(0.12) * 30)
            yield half / 2, synth.to_level(snare, -22)


def piece(rng: np.random.Generator, i: int) -> tuple[str, str, float, Audio]:
    """Tonic, mode, BPM and eight seconds of music; every second group of eight has drums."""
    bpm, tonic, mode = float(rng.uniform(60, 190)), i * 5 % 12, list(SCALES)[i % 2]
    beat, start = 60 / bpm, rng.uniform(0.02, 0.3)
    beats = int((8 - start) / beat)
    parts: list[tuple[float, Audio]] = []
    for at, length, midi, db in score(rng, bpm, tonic, mode, beats):
        seconds = min(0.92 * length * beat, 7.99 - start - at * beat)
        if seconds > 0.06:
            note = tone(note_hz(midi), seconds, list(TIMBRES)[i // 2 % 4])
            parts.append((start + at * beat, gain(note, db)))
    if i // 8 % 2:
        parts += [(start + b * beat, x) for b, x in drum_kit(rng, beats)]
    x = lay(parts, 8.0)[: 8 * SAMPLE_RATE]
    return NOTE_NAMES[tonic], mode, bpm, synth.finish(rng, 0.5 * x / np.abs(x).max(), 1)


@pytest.mark.parametrize(
    ("seed", "count"), [(0, 48), *(pytest.param(s, 192, marks=slow) for s in (1, 2, 3))]
)
def test_key_and_tempo_of_pieces(seed: int, count: int):
    rng = np.random.default_rng(seed)
    key, modes, bpms, octave = [], [], [], []
    for tonic, mode, bpm, x in (piece(rng, i) for i in range(count)):
        k, t = music.key(x), music.tempo(x)
        assert k and t
        key.append((k.tonic, k.mode) == (tonic, mode))
        modes.append(k.mode == mode)
        bpms.append(abs(t.bpm / bpm - 1) < 0.04)
        octave.append(min(abs(t.bpm / bpm / f - 1) for f in (0.5, 1, 2)) < 0.04)
    assert np.mean(key) >= 0.88 and np.mean(modes) >= 0.95
    assert np.mean(bpms) >= 0.85 and np.mean(octave) == 1.0


@pytest.mark.parametrize("bpm", [60, 75, 90, 120, 150, 180])
def test_the_tempo_of_knocks_is_exact(bpm: int):
    rng = np.random.default_rng(bpm)
    x = lay([(0.1 + 60 / bpm * i, synth.event(rng, "knock")) for i in range(bpm // 8)], 8.0)
    found = music.tempo(x)
    assert found and found.bpm == pytest.approx(bpm, abs=0.05) and found.confidence > 0.9


def test_triads_are_named():
    right: list[bool] = []
    for i in range(96):
        rng = np.random.default_rng(i)
        quality, timbre = list(music.TRIADS)[i % 4], list(TIMBRES)[i // 4 % 4]
        root = 48 + i * 7 % 24
        lifted = int(rng.integers(3)) if quality != "aug" else 0
        notes = [root + n + 12 * (k < lifted) for k, n in enumerate(music.TRIADS[quality])]
        x = sum((tone(note_hz(n), 0.8, timbre) for n in notes), np.zeros(12800, np.float32))
        found = music.chord(synth.finish(rng, x, 1 + i % 3))
        right.append(found is not None and found.quality == quality)
        assert found is None or not right[-1] or found.root == NOTE_NAMES[root % 12]
    assert np.mean(right) >= 0.97


def test_pitch_classes_are_those_that_sound_in_any_tuning():
    for cents in (-35, 0, 20):
        x = tone(note_hz(60 + cents / 100), 0.5) + tone(note_hz(67 + cents / 100), 0.5)
        found = music.chroma(x)
        assert found.sum() == pytest.approx(1) and found[[0, 7]].min() > 0.45
    assert music.chord(tone(440, 1.0, "buzzy")) is None
