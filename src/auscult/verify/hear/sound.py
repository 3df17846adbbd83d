"""Measurements of level, colour, noise, room, voice and events; each refuses where it must."""

import numpy as np

from auscult.audio.hear import measure, speaking
from auscult.audio.hear.onsets import HOP_S
from auscult.verify.hear.combine import by_energy, typical
from auscult.verify.hear.listening import Listening, Refused, over_windows


def duration_s(ear: Listening) -> float:
    """Length of the clip."""
    return ear.seconds


def sounding_s(ear: Listening) -> float:
    """From the first onset to the end of the last sound."""
    if not ear.sounds:
        raise Refused("nothing sounds")
    return ear.sounds[-1].end_s - ear.sounds[0].start_s


def loudness_lufs(ear: Listening) -> float:
    """Integrated loudness, BS.1770."""
    if not np.isfinite(ear.lufs):
        raise Refused("loudness needs 0.4 s of sound")
    return ear.lufs


def level_change_db(ear: Listening) -> float:
    """Level at the end less that at the beginning, by a line through the levels of the sounds or,
    of one lasting sound, through its envelope."""
    if len(ear.sounds) >= 3:
        levels = np.array([s.level_db for s in ear.sounds])
    else:
        levels = ear.core.slow_envelope_db[1:-1]
    if len(levels) < 3:
        raise Refused("too short for a course of the level")
    slope = float(np.polyfit(np.linspace(0, 1, len(levels)), levels, 1)[0])
    return slope


def level_course(ear: Listening) -> str:
    """rising, falling or level (within 3.5 dB)."""
    change = level_change_db(ear)
    return "level" if abs(change) < 3.5 else "rising" if change > 0 else "falling"


@over_windows(typical)
def rate(ear: Listening) -> float:
    """Syllables per second of speech."""
    found = speaking.syllable_rate(ear.clip, ear.voice_track)
    if not np.isfinite(found) or ear.seconds < 0.4:
        raise Refused("no speech of 0.4 s")
    return found


def active_s(ear: Listening) -> float:
    """How long something sounds, pauses taken out."""
    return float(sum(b - a for a, b in ear.activity))


def pauses(ear: Listening) -> float:
    """Number of silences of 0.15 s and more between stretches of sound."""
    if not ear.activity:
        raise Refused("nothing sounds")
    return float(len(ear.activity) - 1)


def brightness_hz(ear: Listening) -> float:
    """Spectral centroid."""
    if ear.silent:
        raise Refused("silence has no colour")
    return _centroid_hz(ear)


@over_windows(by_energy)
def _centroid_hz(ear: Listening) -> float:
    return measure.centroid_hz(ear.clip)


def brightness_course(ear: Listening) -> str:
    """rising, falling or level (within 12 %), by the centroid of the first and last third."""
    if ear.silent or ear.seconds < 0.15:
        raise Refused("too short for a course of the brightness")
    a, b = ear.thirds(_centroid_hz)
    change = float(np.log(max(b, 1) / max(a, 1)))
    return "level" if abs(change) < 0.12 else "rising" if change > 0 else "falling"


def _regularity(ear: Listening) -> float:
    """Median height of the autocorrelation peak over the loud frames, 0 (noise) to 1."""
    loud = ear.tones.voiced(periodicity=0.0, below_peak_db=20.0)
    return float(np.median(loud.periodicity)) if len(loud.hz) else 0.0


def hnr_db(ear: Listening) -> float:
    """Harmonics-to-noise ratio of the loud frames."""
    if ear.silent:
        raise Refused("nothing sounds")
    r = float(np.clip(_regularity(ear), 1e-3, 1 - 1e-4))
    return 10 * float(np.log10(r / (1 - r)))


@over_windows(typical)
def cpps_db(ear: Listening) -> float:
    """Cepstral peak prominence: lower in a breathier voice."""
    found = speaking.cpps_db(ear.clip)
    if not np.isfinite(found):
        raise Refused("nothing sounds")
    return found


@over_windows(typical)
def roughness_db(ear: Listening) -> float:
    """Depth of the amplitude modulation between 20 and 150 Hz."""
    return speaking.roughness(ear.clip, ear.voice_track)


@over_windows(typical)
def tremolo_hz(ear: Listening) -> float:
    """Rate of the strongest waver of the level between 2 and 60 Hz; refused under 2 dB of depth."""
    hz, depth = speaking.amplitude_modulation(ear.clip)
    if not depth >= 2:
        raise Refused("the level does not waver")
    return hz


@over_windows(typical)
def snr_db(ear: Listening) -> float:
    """Blind signal-to-noise ratio: bands of 10 dB, no more. Of a lasting tone its HNR."""
    if ear.silent:
        raise Refused("nothing sounds")
    ear = ear.core
    found = speaking.snr_db(ear.clip)
    return found if np.isfinite(found) and found >= 8 else max(hnr_db(ear), found)


DIGITAL_SILENCE_DB = -90.0
"""What lies under this behind a recording is no part of its decay."""


@over_windows(typical)
def late_decay_s(ear: Listening) -> float:
    """Time for 60 dB by a line through the late decay: from 12 dB under the peak, where the direct
    sound is over, to 6 dB over the noise, whose power is taken off first."""
    level = ear.envelope_db
    level = level[: int(np.flatnonzero(level > DIGITAL_SILENCE_DB).max(initial=0)) + 1]
    loud = float(level.max())
    begin = int(np.flatnonzero(level >= loud - 3)[-1])
    floor = float(np.percentile(level[begin:], 10))
    rest = np.maximum(10 ** (level / 10) - 10 ** (floor / 10), 1e-12)
    decay = 10 * np.log10(rest[begin:])
    start = int(np.argmax(decay < loud - 12))
    under = np.flatnonzero(decay[start:] < max(loud - 60, floor + 6))
    stop = start + int(under[0]) if len(under) else len(decay)
    if stop - start < 6:
        return measure.decay_time_s(ear.core.clip)
    slope = float(np.polyfit(np.arange(stop - start) * HOP_S, decay[start:stop], 1)[0])
    return -60 / slope if slope < 0 else float("inf")


LONGEST_DECAY_S = 6.0
"""No room that people record in rings longer; what seems to does not decay freely."""

RUNNING = 4
"""Sounds of a voice from which on it is running speech."""


@over_windows(typical)
def reverberation_s(ear: Listening) -> float:
    """Time for a fall of 60 dB, from the late decay after the last loud sound."""
    if ear.is_voice and len(ear.sounds) > RUNNING:
        raise Refused("running speech has no free decay")
    found = late_decay_s(ear)
    if not found < LONGEST_DECAY_S or ear.snr_db < 20:
        raise Refused("no free decay of 20 dB after a sound")
    return found


def background(ear: Listening) -> str:
    """Class of the lasting sound behind the others."""
    if ear.seconds < 0.5:
        raise Refused("under 0.5 s")
    name, sure = ear.background
    if name == "unknown" or sure < 0.6:
        raise Refused("unlike every known background")
    return name


def events(ear: Listening) -> str:
    """Class of every sound, in order."""
    if not ear.sounds:
        raise Refused("nothing sounds")
    return " ".join(s.kind for s in ear.sounds)


def vowel(ear: Listening) -> str:
    """Nearest of five vowels."""
    if not ear.is_voice:
        raise Refused("no voice")
    name, sure = ear.vowel
    if name == "unknown" or sure < 0.6:
        raise Refused("unlike every known vowel")
    return name


def periodic(ear: Listening) -> float:
    """Median height of the autocorrelation peak of the loud frames: 0 whispered, 1 voiced."""
    if ear.silent:
        raise Refused("nothing sounds")
    return _regularity(ear)
