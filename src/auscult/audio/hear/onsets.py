"""When does something start? Median-gated flux of level, with or without the noise taken off."""

import numpy as np
from jaxtyping import Float

from auscult.audio.hear.measure import QUIET_DB, mel_db, peaks
from auscult.types import Audio

HOP_S, LAG = 0.005, 8


def quiet_power(power: Float[np.ndarray, "frames bands"]) -> Float[np.ndarray, " bands"]:
    """Noise per band: the mean of the quietest tenth of the frames. Zero for a sound that never
    rests (its level moves by less than 8 dB), because there nothing tells noise from sound."""
    total = power.sum(axis=1)
    low, high = 10 * np.log10(np.percentile(total, (4, 90)) + 1e-12)
    if high - low < 8:
        return np.full(power.shape[1], 1e-12)
    return power[total <= np.percentile(total, 10)].mean(axis=0)


def level_over_noise_db(x: Audio, bands: int = 24) -> Float[np.ndarray, " frames"]:
    """Level of what stands out of the clip's own steady noise, every 5 ms.

    Each band's noise is the level of its quiet frames, and only power beyond six times that counts:
    a single frame of noise stays below. So a tone need only stand out of the noise in its own band.
    A twentieth of the whole noise is kept under it all as the floor.
    """
    power = 10 ** (mel_db(x, bands, hop_s=HOP_S) / 10)
    floor = quiet_power(power)
    over = np.maximum(power - 6 * floor, 0).sum(axis=1) + 0.05 * floor.sum()
    return 10 * np.log10(over + 1e-12)


def rises(
    level_db: Float[np.ndarray, " frames"],
    *,
    rise_db: float = 6.0,
    spacing_s: float = 0.08,
    range_db: float = 45.0,
) -> list[float]:
    """Times (s) at which a level rises by `rise_db` within 40 ms more than it does around.

    Levels are floored `range_db` under the loudest frame: below lies only noise.
    """
    peak = float(level_db.max(initial=QUIET_DB))
    if peak <= QUIET_DB + 10:
        return []
    quiet = float(np.percentile(level_db, 10))
    floor = max(peak - range_db, min(quiet + 4, peak - 12))
    level = np.maximum(np.pad(level_db, (LAG, 0), constant_values=floor), floor)
    flux = np.maximum(level[LAG:] - level[:-LAG], 0)
    near = np.lib.stride_tricks.sliding_window_view(np.pad(flux, 40), 81)
    gated = flux - np.median(near, axis=1)
    found: list[float] = []
    for i in peaks(gated, rise_db, round(spacing_s / HOP_S)):
        rise = level[i : i + LAG + 1]
        begin = int(np.argmax(rise > rise[0] + (rise[-1] - rise[0]) / 3))
        found.append(max(0.0, (i + begin - LAG) * HOP_S))
    return found
