"""Corruptions measured: each does what its name says, to the decibel, and nothing else."""

import zlib
from fractions import Fraction

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from auscult.audio import corrupt as bench
from auscult.audio import masking
from auscult.audio.corrupt import CODECS, CORRUPTIONS, SNRS_DB, corrupt, mix
from auscult.audio.hear import measure, music
from auscult.audio.synth import SAMPLE_RATE, event, gain, lay, tone
from auscult.audio.voice import contour, vowel
from auscult.types import Audio

NAMES = (
    "white_20db", "white_10db", "white_5db", "white_0db", "pink_20db", "pink_10db", "pink_5db",
    "pink_0db", "babble_20db", "babble_10db", "babble_5db", "babble_0db", "music_10db", "music_5db",
    "music_0db", "mp3_16k", "mp3_8k", "vorbis_q0", "opus_16k", "opus_8k", "mulaw_8khz", "gsm_8khz",
    "room_0.3s", "room_0.8s", "room_1.5s", "clipped_3pct", "clipped_10pct", "loss_5pct",
    "loss_10pct", "loss_20pct", "gain_-20db", "lowpass_4khz", "speed_0.8", "speed_0.9", "speed_1.1",
    "speed_1.25", "tempo_0.8", "tempo_1.25", "offset_0.05", "position_before_0.25s",
    "position_before_0.5s", "position_before_1s", "position_before_2s", "position_after_1s",
    "position_after_2s", "position_around_1s", "position_noise_1s",
)  # fmt: skip
ADDED_S = {
    "position_before_0.25s": 0.25, "position_before_0.5s": 0.5, "position_before_1s": 1,
    "position_before_2s": 2, "position_after_1s": 1, "position_after_2s": 2,
    "position_around_1s": 2, "position_noise_1s": 2,
}  # fmt: skip
MASKED = {f"{name}_{db}db": db for name, dbs in SNRS_DB.items() for db in dbs}
DRAWN = tuple(n for n in NAMES if n in MASKED or n.startswith(("room", "loss")))
AVAILABLE = tuple(
    n for n in NAMES
    if n not in CODECS or soundfile.check_format(CODECS[n].format, CODECS[n].subtype)
)  # fmt: skip


@pytest.fixture(scope="module")
def talk() -> Audio:
    """3 s of a voice without words, with pauses, breath and two knocks: pitched, noisy, sudden."""
    rng = np.random.default_rng(7)
    parts = [
        (0.1 + 0.6 * i, vowel(rng, contour(0.45, [0, 3, -2], 120), name, breath=0.3))
        for i, name in enumerate(("ah", "ee", "oh", "eh"))
    ]
    parts += [(2.45, event(rng, "knock")), (2.7, event(rng, "clap"))]
    return gain(lay(parts, 3.0), -3.0)


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def share_above(x: Audio, hz: float) -> float:
    """Share of the power above a frequency."""
    bins, power = measure.spectrum(x)
    return float(power[bins > hz].sum() / power.sum())


# ---------------------------------------------------------------------------- all of them


def test_the_names_are_fixed_because_they_are_part_of_every_seed():
    assert tuple(sorted(CORRUPTIONS)) == tuple(sorted(NAMES))
    assert {c.family for c in CORRUPTIONS.values()} == {n.split("_")[0] for n in NAMES}


@pytest.mark.parametrize("name", AVAILABLE)
def test_each_gives_bounded_samples_of_the_promised_length_and_changes_something(
    name: str, talk: Audio
):
    before = talk.copy()
    y = corrupt(name, talk, "a")
    np.testing.assert_array_equal(talk, before)
    assert y.dtype == np.float32 and np.isfinite(y).all() and np.abs(y).max() <= 1
    factor = float(name.split("_")[1]) if name.startswith(("speed", "tempo")) else 1.0
    added = ADDED_S.get(name, 0) * SAMPLE_RATE
    wanted = int(np.ceil(len(talk) / factor - 1e-9)) + added
    assert len(y) == CORRUPTIONS[name].length(len(talk)) == wanted
    assert len(y) != len(talk) or rms(y - talk) > 1e-3 * rms(talk)


@pytest.mark.parametrize("name", AVAILABLE)
def test_the_same_key_gives_the_same_samples_and_another_key_others(name: str, talk: Audio):
    first = corrupt(name, talk, "set/1")
    np.testing.assert_array_equal(corrupt(name, talk, "set/1"), first)
    others = [corrupt(name, talk, f"set/{i}") for i in (2, 3)]
    same = [np.array_equal(first, other) for other in others]
    assert not all(same) if name in DRAWN else all(same)


def test_the_seed_is_the_checksum_of_name_and_key(talk: Audio):
    rng = np.random.default_rng([zlib.crc32(b"white_5db"), zlib.crc32(b"mmsu/17")])
    expected = mix(talk, rng.standard_normal(len(talk), dtype=np.float32), 5.0)
    np.testing.assert_array_equal(corrupt("white_5db", talk, "mmsu/17"), expected)


SAMPLES = st.one_of(
    st.floats(-1, 1, width=32),
    st.sampled_from([0.0, -1.0, 1.0, 1e-30, -1e-42]).map(np.float32),
)


@settings(max_examples=50, deadline=None)
@given(
    name=st.sampled_from(AVAILABLE),
    clip=st.integers(0, 700).flatmap(lambda n: arrays(np.float32, n, elements=SAMPLES)),
    key=st.text(max_size=5),
)
def test_any_clip_gives_finite_bounded_samples_of_the_promised_length(
    name: str, clip: Audio, key: str
):
    y = corrupt(name, clip, key)
    assert y.dtype == np.float32 and y.ndim == 1
    assert np.isfinite(y).all() and np.abs(y).max(initial=0) <= 1
    assert len(y) == CORRUPTIONS[name].length(len(clip))


@pytest.mark.parametrize("name", AVAILABLE)
def test_silence_stays_silent(name: str):
    y = corrupt(name, np.zeros(5000, dtype=np.float32), "a")
    constant = np.float32(0.05 if name == "offset_0.05" else 0)
    assert np.abs(y - constant).max() <= (1e-3 if name in CODECS else 0)


def test_an_unknown_name_is_an_error_that_lists_the_known(talk: Audio):
    with pytest.raises(ValueError, match="unknown corruption 'fog'; expected one of white_20db"):
        corrupt("fog", talk, "a")


# ---------------------------------------------------------------------------- noise


@pytest.mark.parametrize("name", MASKED)
def test_the_signal_to_noise_ratio_is_exact_against_the_sound_without_its_pauses(name: str):
    x = np.zeros(32_000, dtype=np.float32)
    x[8000:24_000] = 0.02 * np.sin(2 * np.pi * 300 * np.arange(16_000) / 16_000)
    noise = corrupt(name, x, "a") - x
    level = 20 * np.log10(0.02 / np.sqrt(2))  # of the sounding half, worked out by hand
    assert level - 20 * np.log10(rms(noise)) == pytest.approx(MASKED[name], abs=0.02)


def test_a_mixture_that_would_leave_the_range_is_turned_down_as_a_whole(rng: np.random.Generator):
    x = np.sin(np.arange(16_000) / 9).astype(np.float32)
    noise = rng.standard_normal(16_000, dtype=np.float32)
    y = mix(x, noise, 0.0)
    assert np.abs(y).max() == 1
    wanted = x + noise / rms(noise) * bench.active_rms(x)
    np.testing.assert_allclose(y, wanted / np.abs(wanted).max(), atol=1e-6)


def test_white_noise_is_even_per_hertz_and_pink_per_octave(rng: np.random.Generator):
    def bands_db(x: Audio) -> np.ndarray:
        hz, power = measure.spectrum(x)
        edges = 125 * 2.0 ** np.arange(7)
        parts = [power[(hz >= a) & (hz < 2 * a)].sum() for a in edges[:-1]]
        return 10 * np.log10(parts)

    white, pink = masking.white(rng, 160_000), masking.pink(rng, 160_000)
    np.testing.assert_allclose(np.diff(bands_db(white)), 10 * np.log10(2), atol=0.6)
    np.testing.assert_allclose(np.diff(bands_db(pink)), 0, atol=0.6)


def test_babble_is_many_voices_and_not_one_or_noise(rng: np.random.Generator):
    x = masking.babble(rng, 64_000)
    assert share_above(x, 4000) < 0.1
    one = vowel(rng, contour(1.0, [0, 0], 120))
    assert measure.periodicity(masking.white(rng, 16_000)) < measure.periodicity(x)
    assert measure.periodicity(x) < measure.periodicity(one) - 0.1
    swell = [
        np.std(measure.envelope_db(y, 0.1, 0.05)[3:-3]) for y in (x, masking.white(rng, 64_000))
    ]
    assert swell[0] > 3 * swell[1]  # syllables come and go


def test_babble_repeats_after_20_s_without_a_seam_and_never_pauses():
    x, seam = masking.babble(np.random.default_rng(3), 45 * SAMPLE_RATE), 20 * SAMPLE_RATE
    np.testing.assert_array_equal(x[seam : 2 * seam], x[:seam])
    assert abs(x[seam] - x[seam - 1]) < np.percentile(np.abs(np.diff(x)), 99)
    assert measure.envelope_db(x, 0.5, 0.25)[2:-2].min() > measure.level_db(x) - 6


def test_the_music_goes_on_as_long_as_the_clip_lasts():
    x = masking.band(np.random.default_rng(3), 45 * SAMPLE_RATE)
    assert len(x) == 45 * SAMPLE_RATE
    assert measure.envelope_db(x, 0.5, 0.25)[2:-2].min() > measure.level_db(x) - 10


def test_the_music_is_in_a_key_and_differs_from_key_to_key():
    keys = [music.key(masking.band(np.random.default_rng(i), 12 * SAMPLE_RATE)) for i in range(12)]
    found = [f"{k.tonic} {k.mode}" for k in keys if k]
    assert len(found) >= 10 and len(set(found)) >= 6


# ---------------------------------------------------------------------------- codecs, filters


@pytest.mark.parametrize("name", [n for n in CODECS if n in AVAILABLE])
def test_codecs_are_in_time_and_still_resemble_the_clip(name: str, talk: Audio):
    for x in (talk, talk[:12_345], talk[2000:2700]):
        y = corrupt(name, x, "a")
        r = np.correlate(np.pad(y, 1600), x, "valid")
        assert abs(int(np.argmax(r)) - 1600) <= 16  # 1 ms
        assert r.max() / (np.linalg.norm(x) * np.linalg.norm(y)) > 0.6
        assert 0.6 < rms(y) / rms(x) < 1.4


def test_fewer_bits_are_further_from_the_clip(talk: Audio):
    def error(name: str) -> float:
        if name not in AVAILABLE:
            pytest.skip(f"this libsndfile has no {name}")
        return rms(corrupt(name, talk, "a") - talk)

    assert error("mp3_8k") > 1.2 * error("mp3_16k")
    assert error("opus_8k") > 1.2 * error("opus_16k")
    if {"gsm_8khz", "mulaw_8khz"} <= {*AVAILABLE}:
        hz = np.fft.rfftfreq(len(talk), 1 / SAMPLE_RATE)
        kept = np.fft.irfft(np.fft.rfft(talk) * ((hz > 300) & (hz < 3400)))
        gsm, mulaw = (rms(corrupt(n, talk, "a") - kept) for n in ("gsm_8khz", "mulaw_8khz"))
        assert gsm > 1.5 * mulaw


def test_the_telephone_lets_through_300_to_3400_hertz():
    for name in ("mulaw_8khz", "gsm_8khz"):
        tones = {hz: gain(tone(hz, 1.0), 10.0) for hz in (100, 1000, 3000, 3800, 6000)}
        kept = {
            hz: measure.level_db(corrupt(name, x, "a")) - measure.level_db(x)
            for hz, x in tones.items()
        }
        assert abs(kept[1000]) < 1 and abs(kept[3000]) < 2
        assert max(kept[100], kept[3800], kept[6000]) < -20
    assert share_above(corrupt("mulaw_8khz", tones[1000], "a"), 4100) < 1e-4


def test_a_codec_that_libsndfile_lacks_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, talk: Audio
):
    monkeypatch.setattr(soundfile, "check_format", lambda *a: False)
    with pytest.raises(ValueError, match=r"libsndfile .* lacks OPUS in OGG: pip install"):
        corrupt("opus_8k", talk, "a")
    assert len(corrupt("white_5db", talk, "a")) == len(talk)


def test_the_low_pass_keeps_what_is_below_4_khz_in_place_and_nothing_above(rng):
    low, high = gain(tone(3700, 1.0), 6.0), gain(tone(4300, 1.0), 6.0)
    y = corrupt("lowpass_4khz", low + high, "a")
    np.testing.assert_allclose(y[2000:-2000], low[2000:-2000], atol=2e-3)


def test_the_gain_is_minus_20_decibels_and_nothing_else(talk: Audio):
    np.testing.assert_allclose(corrupt("gain_-20db", talk, "a"), 0.1 * talk, rtol=1e-6)


# ---------------------------------------------------------------------------- rooms, clipping, loss


@pytest.mark.parametrize("rt60_s", [0.3, 0.8, 1.5])
def test_the_room_decays_by_60_decibels_in_its_time(rt60_s: float):
    impulse = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
    impulse[0] = 0.5
    found = []
    for key in "abcde":
        y = corrupt(f"room_{rt60_s}s", impulse, key).astype(np.float64)
        # Schroeder's backward integral without the direct sound; T20: from -5 to -25 dB.
        energy = np.cumsum(y[:0:-1] ** 2)[::-1]
        db = 10 * np.log10(energy / energy[0] + 1e-12)
        a, b = int(np.argmax(db < -5)), int(np.argmax(db < -25))
        slope = np.polyfit(np.arange(a, b) / SAMPLE_RATE, db[a:b], 1)[0]
        found.append(-60 / slope)
    assert np.mean(found) == pytest.approx(rt60_s, rel=0.06)
    np.testing.assert_allclose(found, rt60_s, rtol=0.15)


def test_the_room_changes_neither_the_level_nor_the_time_of_the_direct_sound(talk: Audio):
    for name in ("room_0.3s", "room_0.8s", "room_1.5s"):
        y = corrupt(name, talk, "a")
        assert rms(y) == pytest.approx(rms(talk), rel=1e-4)
        quiet = np.flatnonzero(talk)[0]
        assert np.abs(y[:quiet]).max() < 1e-4 < np.abs(y[quiet : quiet + 1600]).max()


@pytest.mark.parametrize("percent", [3, 10])
def test_the_promised_share_of_samples_is_clipped_and_the_rest_untouched(percent: int, talk: Audio):
    y = corrupt(f"clipped_{percent}pct", talk, "a")
    limit = np.abs(y).max()
    at = np.abs(y) == limit
    assert at.sum() == pytest.approx(percent / 100 * np.count_nonzero(talk), abs=1)
    np.testing.assert_array_equal(y[~at], talk[~at])
    np.testing.assert_array_equal(np.sign(y), np.sign(talk))
    assert np.all(np.abs(talk[at]) >= limit)


def test_a_short_sound_in_long_silence_is_not_clipped_away():
    x = lay([(0.0, tone(500, 0.1))], 5.0)
    assert rms(corrupt("clipped_10pct", x, "a")) > 0.9 * rms(x)


@pytest.mark.parametrize("percent", [5, 10, 20])
def test_packets_are_lost_in_the_promised_share_and_in_bursts(percent: int):
    share, n = percent / 100, 150_000
    lost = bench.lost_frames(np.random.default_rng(1), n, share)
    assert lost.mean() == pytest.approx(share, rel=0.05)
    # A loss is followed by one where the bad state stays (3 in 4) and loses again (3 in 4).
    assert lost[1:][lost[:-1]].mean() == pytest.approx(0.5625, abs=0.02)
    first = [bool(bench.lost_frames(np.random.default_rng(i), 1, share)[0]) for i in range(4000)]
    assert np.mean(first) == pytest.approx(share, abs=0.02)


def test_lost_packets_are_zeros_of_20_ms_and_all_else_is_untouched():
    x = np.full(160_100, 0.5, dtype=np.float32)
    y = corrupt("loss_20pct", x, "a")
    assert set(np.unique(y)) == {0.0, 0.5}
    packets = np.split(y, range(320, len(y), 320))
    assert all(len(np.unique(p)) == 1 for p in packets)
    lost = np.mean([p[0] == 0 for p in packets])
    assert 0.1 < lost < 0.32


def test_the_share_of_lost_samples_over_many_clips_is_the_promised_one():
    x = np.ones(48_000, dtype=np.float32)
    for percent in (5, 10, 20):
        lost = [np.mean(corrupt(f"loss_{percent}pct", x, f"{i}") == 0) for i in range(200)]
        assert np.mean(lost) == pytest.approx(percent / 100, rel=0.15)


# ---------------------------------------------------------------------------- speed and tempo


def hum(hz: float) -> Audio:
    return vowel(np.random.default_rng(0), contour(2.0, [0, 0], hz))


@pytest.mark.parametrize("factor", ["0.8", "0.9", "1.1", "1.25"])
def test_speed_moves_the_pitch_and_the_times_by_its_factor(factor: str):
    x, by = hum(150.0), float(factor)
    before, after = measure.f0_median_hz(x), measure.f0_median_hz(corrupt(f"speed_{factor}", x, ""))
    assert after / before == pytest.approx(by, rel=0.005)
    assert_times_move(f"speed_{factor}", by)


@pytest.mark.parametrize("factor", ["0.8", "1.25"])
def test_tempo_moves_the_times_and_keeps_the_pitch(factor: str):
    for x in (hum(95.0), hum(230.0), tone(440, 2.0), tone(1000, 2.0, "buzzy")):
        y = corrupt(f"tempo_{factor}", x, "")
        assert measure.f0_median_hz(y) == pytest.approx(measure.f0_median_hz(x), rel=0.005)
        assert rms(y) == pytest.approx(rms(x), rel=0.05)
        assert measure.periodicity(y) > measure.periodicity(x) - 0.03
    assert_times_move(f"tempo_{factor}", float(factor))


def assert_times_move(name: str, factor: float) -> None:
    starts = (0.2, 0.9, 1.3, 2.4)
    x = lay([(at, tone(700, 0.25)) for at in starts], 3.0)
    found = [a for a, _ in measure.segments(corrupt(name, x, ""))]
    np.testing.assert_allclose(found, np.array(starts) / factor, atol=0.02)


@given(n=st.integers(1, 3000), factor=st.sampled_from(["0.8", "0.9", "1.1", "1.25"]))
@settings(max_examples=40, deadline=None)
def test_length_is_the_quotient_rounded_up(n: int, factor: str):
    y = corrupt(f"speed_{factor}", np.zeros(n, dtype=np.float32), "")
    quotient = n / Fraction(factor)
    assert quotient <= len(y) < quotient + 1
