"""The verifier's measurements on real recordings, against Praat where it is installed (GPL, extra
`[praat]`, for comparison only). Run by `benchmarks/grounding.py`."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from auscult.audio.io import read_audio
from auscult.stats.intervals import wilson
from auscult.verify.hear.measures import MEASURES, take
from auscult.verify.verify import listen


def real_figure(folder: Path) -> None:
    """Everything measured on real recordings; F0 and rate against Praat where it is installed."""
    files = sorted((folder / "step_audio_examples").glob("*.wav"))
    files += sorted((folder / "fsdd").rglob("*.wav"))
    if not files:
        print(f"real recordings: none in {folder}")
        return
    refused = 0
    for file in tqdm(files, desc="real", disable=None):
        ear = listen([read_audio(file)])[0]
        refused += sum(bool(take(ear, name).refused) for name in MEASURES)
    total = len(files) * len(MEASURES)
    print(f"real recordings: {len(files)} files, {total} measurements, no error, {refused} refused")
    try:
        import parselmouth
    except ImportError:
        print("  praat-parselmouth is not installed: no comparison")
        return
    near, medians, rates = [], [], []
    compared = [f for i, f in enumerate(files) if i < 10 or i % 15 == 0]
    for file in compared:
        clip = read_audio(file)[: 16000 * 30]
        if len(clip) < 3200:
            continue
        praat = parselmouth.Sound(clip.astype(np.float64), 16000).to_pitch_ac(
            time_step=0.01, pitch_floor=60, pitch_ceiling=800
        )
        ear = listen([clip])[0]
        hz = np.array([praat.get_value_at_time(t) for t in ear.track.times_s])
        both = (ear.track.periodicity >= 0.5) & np.isfinite(hz) & (hz > 0)
        if both.sum() < 10:
            continue
        rates.append((praat_rate(clip, praat), take(ear, "rate").value or np.nan))
        cents = 1200 * np.abs(np.log2(ear.track.hz[both] / hz[both]))
        near.append((int((cents < 50).sum()), int(both.sum())))
        medians.append(float(np.median(cents)))
    right, n = (sum(x) for x in zip(*near, strict=True))
    e = wilson(right, n)
    interval = f"{100 * e.mean:.2f} % [{100 * e.low:.1f}, {100 * e.high:.1f}]"
    print(f"  F0 within 50 cents of Praat, frames voiced in both: {interval} n={n}")
    print(f"  median difference {np.median(medians):.1f} cents over {len(near)} files")
    a, b = np.array([r for r in rates if all(np.isfinite(r)) and min(r) > 0]).T
    print(
        f"  syllables per second against nuclei on Praat's intensity and pitch (n={len(a)} files): "
        f"correlation {np.corrcoef(a, b)[0, 1]:.2f}, median ratio {np.median(b / a):.2f}"
    )


def praat_rate(clip: np.ndarray, pitch) -> float:
    """Nuclei per second by the recipe of de Jong and Wempe on Praat's own contours: voiced peaks of
    the intensity with a dip of 2 dB before, per second of activity."""
    import parselmouth
    from scipy.signal import find_peaks

    from auscult.audio.hear.speaking import activity

    level = parselmouth.Sound(clip.astype(np.float64), 16000).to_intensity(minimum_pitch=50)
    db, at = level.values[0], level.xs()
    peaks, _ = find_peaks(db, prominence=2, height=np.percentile(db, 99) - 25)
    voiced = [k for k in peaks if np.isfinite(pitch.get_value_at_time(at[k]))]
    seconds = sum(b - a for a, b in activity(clip))
    return len(voiced) / seconds if seconds else float("nan")
