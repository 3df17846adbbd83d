"""The same sound elsewhere in its recording, as a corruption."""

import numpy as np
import pytest

from auscult.audio import masking
from auscult.audio.corrupt import corrupt
from auscult.audio.hear import measure
from auscult.audio.synth import event, gain, lay, tone
from auscult.types import Audio


@pytest.fixture(scope="module")
def knocks() -> Audio:
    rng = np.random.default_rng(7)
    return lay([(0.1, event(rng, "knock")), (0.6, event(rng, "clap"))], 1.0)


def share_above(x: Audio, hz: float) -> float:
    """Share of the power above a frequency."""
    bins, power = measure.spectrum(x)
    return float(power[bins > hz].sum() / power.sum())


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("position_before_0.25s", 4000, 0),
        ("position_before_2s", 32_000, 0),
        ("position_after_1s", 0, 16_000),
        ("position_around_1s", 16_000, 16_000),
    ],
)
def test_the_sound_itself_is_untouched_where_silence_lies_around_it(
    name: str, before: int, after: int, knocks: Audio
):
    np.testing.assert_array_equal(corrupt(name, knocks, "a"), np.pad(knocks, (before, after)))


def test_a_clips_own_noise_goes_on_around_it_at_its_level_and_colour(rng: np.random.Generator):
    hiss = gain(masking.pink(rng, 48_000), -20.0)
    x = hiss + lay([(1.0, tone(600, 0.5))], 3.0)
    y = corrupt("position_noise_1s", x, "a")
    np.testing.assert_array_equal(y[16_000:64_000], x)
    around = np.concatenate([y[:16_000], y[64_000:]])
    assert 20 * np.log10(rms(around) / rms(hiss)) == pytest.approx(0, abs=2)
    assert share_above(around, 1000) == pytest.approx(share_above(hiss, 1000), abs=0.1)


def test_silence_has_no_noise_of_its_own():
    assert not corrupt("position_noise_1s", np.zeros(8000, dtype=np.float32), "a").any()


def test_a_constant_moves_the_middle_and_never_clips(knocks: Audio):
    loud = knocks / np.abs(knocks).max()
    y = corrupt("offset_0.05", loud, "a")
    assert y.mean() == pytest.approx(0.05 + 0.95 * loud.mean(), abs=1e-4)
    assert np.abs(y).max() <= 1
