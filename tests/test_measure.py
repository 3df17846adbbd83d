"""Measuring functions against sounds whose truth is exact."""

import numpy as np
import pytest

from auscult.audio.hear import measure
from auscult.audio.synth import SAMPLE_RATE, TIMBRES, fade, finish, gain, lay, times, to_level, tone
from auscult.audio.voice import VOWELS, contour, tremble, vowel


def noisy(x: np.ndarray, seed: int = 0, level: int = 1) -> np.ndarray:
    return finish(np.random.default_rng(seed), x, level)


@pytest.mark.parametrize("timbre", list(TIMBRES))
@pytest.mark.parametrize("hz", [80.0, 123.4, 261.6, 440.0, 659.3, 831.7, 1000.0])
def test_pitch_of_tones_is_found_within_one_percent(hz: float, timbre: str):
    x = noisy(lay([(0.05, tone(hz, 0.25, timbre))], 0.35))
    assert measure.f0_median_hz(x) == pytest.approx(hz, rel=0.01)


# The voice's pulses lie on whole samples; above 400 Hz that puts true subharmonics into it.
@pytest.mark.parametrize("name", list(VOWELS))
@pytest.mark.parametrize("hz", [80.0, 97.3, 150.0, 220.0, 330.0, 400.0])
@pytest.mark.parametrize("breath", [0.02, 0.2])
def test_pitch_of_vowels_is_found_within_one_percent(hz: float, name: str, breath: float):
    if breath > 0.1 and hz > 250:
        pytest.skip("noise hides the pitch of a high breathy voice")
    rng = np.random.default_rng(1)
    x = noisy(vowel(rng, np.full(8000, hz, dtype=np.float32), name, breath=breath))
    assert measure.f0_median_hz(x) == pytest.approx(hz, rel=0.01)


def test_a_glide_is_tracked_at_every_frame():
    hz = contour(1.0, [-6, 6], 200.0)
    track = measure.f0_track(vowel(np.random.default_rng(0), hz), window_s=0.04)
    truth = hz[np.minimum((track.times_s * SAMPLE_RATE).astype(int), len(hz) - 1)]
    inside = slice(6, -6)
    assert np.abs(track.hz / truth - 1)[inside].max() < 0.02
    assert track.periodicity[inside].min() > 0.8


def test_noise_has_no_pitch():
    noise = np.random.default_rng(0).standard_normal(16000).astype(np.float32) * 0.1
    assert np.isnan(measure.f0_median_hz(noise))
    assert measure.periodicity(noise) < 0.3
    assert measure.hnr_db(noise) < 0 < 20 < measure.hnr_db(tone(200, 0.5, "buzzy"))


@pytest.mark.parametrize("snr_db", [0.0, 5.0, 10.0, 20.0])
def test_harmonics_to_noise_ratio_is_that_of_the_mixture(snr_db: float):
    x = to_level(np.sin(2 * np.pi * 200 * times(1.0)), -20)
    noise = np.random.default_rng(0).standard_normal(len(x), dtype=np.float32)
    assert measure.hnr_db(x + to_level(noise, -20 - snr_db)) == pytest.approx(snr_db, abs=1.5)


def test_levels_are_exact():
    x = to_level(np.sin(2 * np.pi * 500 * times(1.0)), -23.0)
    assert measure.level_db(x) == pytest.approx(-23.0, abs=0.01)
    assert measure.peak_level_db(x) == pytest.approx(-23.0, abs=0.05)
    assert measure.level_db(gain(x, -7.0)) == pytest.approx(-30.0, abs=0.01)
    assert measure.level_db(np.zeros(100, dtype=np.float32)) == measure.QUIET_DB
    assert measure.level_db(np.zeros(0, dtype=np.float32)) == measure.QUIET_DB


STARTS = (0.21, 0.5, 0.93, 1.4)


@pytest.mark.parametrize("bands", [1, 24])
@pytest.mark.parametrize("timbre", list(TIMBRES))
@pytest.mark.parametrize("level", [1, 2])
def test_onsets_are_found_within_30_ms(timbre: str, bands: int, level: int):
    parts = [(t, tone(300 + 150 * i, 0.2, timbre)) for i, t in enumerate(STARTS)]
    found = measure.onsets(noisy(lay(parts, 1.8), level=level), bands=bands)
    np.testing.assert_allclose(found, STARTS, atol=0.03)


def test_spectral_flux_finds_a_legato_change_that_energy_flux_does_not():
    phase = np.cumsum(np.where(times(1.0) < 0.5, 300.0, 900.0)) / SAMPLE_RATE
    x = fade((0.1 * np.sin(2 * np.pi * phase)).astype(np.float32))
    assert len(measure.onsets(x)) == 1
    np.testing.assert_allclose(measure.onsets(x, bands=24), [0.0, 0.5], atol=0.03)


def test_silence_has_no_onsets_and_no_pitch():
    x = np.zeros(16000, dtype=np.float32)
    assert len(measure.onsets(x)) == 0
    assert np.isnan(measure.f0_median_hz(x))
    assert measure.segments(x) == [] and measure.steady_notes(x) == []
    assert measure.periodicity(x) == 0


@pytest.mark.parametrize("level", [1, 2])
def test_segments_begin_and_end_with_the_sound(level: int):
    lengths = (0.1, 0.3, 0.15, 0.2)
    parts = [(t, tone(500, d)) for t, d in zip(STARTS, lengths, strict=True)]
    found = measure.segments(noisy(lay(parts, 1.8), level=level))
    truth = [(t, t + d) for t, d in zip(STARTS, lengths, strict=True)]
    np.testing.assert_allclose(found, truth, atol=0.012)


def test_legato_notes_are_told_apart():
    x = np.concatenate([tone(hz, 0.2) for hz in (262, 330, 392)])
    found = measure.steady_notes(noisy(x))
    np.testing.assert_allclose([n[2] for n in found], (262, 330, 392), rtol=0.01)
    np.testing.assert_allclose([n[0] for n in found], (0.0, 0.2, 0.4), atol=0.03)


@pytest.mark.parametrize("rt60_s", [0.1, 0.2, 0.4, 0.8, 1.2])
@pytest.mark.parametrize("kind", ["tone", "noise"])
def test_decay_time_is_found_within_a_quarter(rt60_s: float, kind: str):
    t = times(1.5)
    noise = np.random.default_rng(0).standard_normal(len(t), dtype=np.float32)
    x = 0.3 * (np.sin(2 * np.pi * 440 * t) if kind == "tone" else 0.3 * noise)
    x = (x * np.exp(-np.log(1000) / rt60_s * t)).astype(np.float32)
    assert measure.decay_time_s(noisy(x)) == pytest.approx(rt60_s, rel=0.25)
    assert measure.decay_time_s(tone(440, 0.5)[200:-200]) > 10


def test_centroid_of_two_tones_is_their_balance_by_power():
    t = times(1.0)
    x = np.sin(2 * np.pi * 500 * t) + np.sqrt(3) * np.sin(2 * np.pi * 1500 * t)
    assert measure.centroid_hz((0.1 * x).astype(np.float32)) == pytest.approx(1250, rel=0.005)


def test_harmonics_are_those_of_the_timbre():
    found = measure.harmonic_levels_db(tone(300, 0.5, "buzzy"), 300, 3)
    np.testing.assert_allclose(found, 20 * np.log10([1 / 2, 1 / 3, 1 / 4]), atol=0.3)
    hollow = measure.harmonic_levels_db(tone(300, 0.5, "hollow"), 300, 2)
    assert hollow[0] < -40 and hollow[1] == pytest.approx(-9.54, abs=0.3)


def test_mel_levels_of_white_noise_are_flat_and_those_of_a_tone_peak_in_its_band():
    noise = np.random.default_rng(0).standard_normal(32000, dtype=np.float32)
    mel = measure.mel_db(gain(noise, -30.0))
    flat = 10 * np.log10(np.mean(10 ** (mel[2:-4] / 10), axis=0))
    assert mel.shape == (200, 24) and np.ptp(flat) < 2.5 and abs(flat.mean() + 30) < 1
    peaks = [int(measure.mel_db(tone(hz, 0.3)).mean(axis=0).argmax()) for hz in (100, 1000, 5000)]
    assert peaks[0] < 3 < peaks[1] < 15 < peaks[2]


@pytest.mark.parametrize(("rate_hz", "depth_st"), [(4.5, 1.5), (6.2, 0.5), (5.0, 0.0)])
def test_tremor_has_its_rate_and_depth(rate_hz: float, depth_st: float):
    hz = tremble(contour(1.5, [0, 2], 150.0), rate_hz, depth_st)
    track = measure.f0_track(vowel(np.random.default_rng(0), hz), window_s=0.03, low_hz=80)
    st = measure.semitones(track.hz)[6:-6]
    found_hz, found_st = measure.modulation(st, 100.0)
    assert found_st == pytest.approx(depth_st, rel=0.15, abs=0.1)
    if depth_st:
        assert found_hz == pytest.approx(rate_hz, abs=0.3)
