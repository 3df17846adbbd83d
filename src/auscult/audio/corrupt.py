"""Sound as it comes out of the laboratory: noise, codecs, rooms, speed, loss, another place in the
recording. Every change is a function (samples, generator) -> samples and one line in `CORRUPTIONS`,
named with its parameter.

Samples in and out are mono float32 at 16 kHz within [-1, 1]. Where a sum would leave that range the
whole of it is turned down, never clipped, so ratios of levels hold. Length stays, but for `speed_*`
and `tempo_*`, where n samples become ceil(n / factor), and for the family "position", which adds.
"""

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np
import soundfile
from jaxtyping import Bool, Float
from scipy.signal import firwin, oaconvolve, resample_poly

from auscult.audio.masking import MASKS, Source
from auscult.audio.position import offset, own_noise_around, samples, silence_around
from auscult.audio.synth import SAMPLE_RATE, gain, reverberate
from auscult.types import Audio

Change = Callable[[Audio, np.random.Generator], Audio]
"""(samples, generator) -> samples. Pure: the same generator state gives the same samples."""

FRAME = 320  # samples, 20 ms: a packet, and the frame in which a level is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Corruption:
    """One entry of the table.

    Example: CORRUPTIONS["speed_1.25"] has family "speed" and factor 5/4; 16,000 samples become
    12,800.
        family   what reports put together: "white", "mp3", "speed"
        change   the function
        factor   n samples become ceil(n / factor)
        added    samples that are put around the clip
    """

    family: str
    change: Change
    factor: Fraction = Fraction(1)
    added: int = 0

    def length(self, samples: int) -> int:
        """Length of the result for a clip of `samples`; nothing is put around an empty one."""
        played = -(-samples * self.factor.denominator // self.factor.numerator)
        return played + self.added if samples else 0


def _within(x: Float[np.ndarray, " n"]) -> Audio:
    """Turned down to a peak of 1 where it is above; float32."""
    peak = float(np.abs(x).max(initial=0.0))
    return (x / peak if peak > 1 else x).astype(np.float32)


def _rms(x: Float[np.ndarray, " n"]) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


# ---------------------------------------------------------------------------- masking sounds


def active_rms(x: Audio) -> float:
    """RMS over the frames of 20 ms that lie at most 30 dB under the loudest, so that pauses do not
    make a clip quiet (ITU-T P.56 in its simplest form). 0 for silence."""
    starts = np.arange(0, len(x), FRAME)
    energy = np.add.reduceat(np.square(x, dtype=np.float64), starts)
    size = np.diff(starts, append=len(x))
    keep = energy / size >= (energy / size).max() * 1e-3
    return float(np.sqrt(energy[keep].sum() / size[keep].sum()))


def mix(x: Audio, noise: Audio, snr_db: float) -> Audio:
    """x and as much noise that its RMS lies exactly `snr_db` under x's active RMS.

    Against silence there is no such level: a silent clip comes back as it is.
    """
    level, own = active_rms(x), _rms(noise)
    if level == 0 or own == 0:
        return x.copy()
    return _within(x + noise.astype(np.float64) * (level / own * 10 ** (-snr_db / 20)))


def _masked(source: Source, snr_db: float) -> Change:
    return lambda x, rng: mix(x, source(rng, len(x)), snr_db)


# ---------------------------------------------------------------------------- codecs and channels


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """A way there and back through libsndfile.

    Example: Codec(format="OGG", subtype="OPUS", level=0.96) is Opus at 16 kbit/s.
        level      libsndfile's compression level, 0 (best) to 1 (smallest); None: no choice
        constant   the same number of bits for every frame (MP3)
        telephone  first 300 to 3,400 Hz, at 8 kHz
    """

    format: str
    subtype: str
    level: float | None = None
    constant: bool = False
    telephone: bool = False


_MP3_DELAY = 1105  # samples: 576 of the encoder, 529 of the decoder
_BLOCK = 1 << 16  # samples; libsndfile's Vorbis can overflow the stack when given minutes at once


def _filtered(x: Audio, cutoff_hz: tuple[float, ...], *, keep_low: bool) -> Audio:
    """Linear phase, 401 taps (edges of 130 Hz), its delay undone."""
    taps = firwin(401, cutoff_hz, pass_zero=keep_low, fs=SAMPLE_RATE)
    return _within(np.asarray(oaconvolve(x.astype(np.float64), taps))[200 : 200 + len(x)])


def _there_and_back(x: Audio, codec: Codec, rate: int) -> Audio:
    """Encoded and decoded, as long as before and without the codec's delay."""
    memory = io.BytesIO()
    with soundfile.SoundFile(
        memory, "w", rate, 1, codec.subtype, format=codec.format,
        compression_level=codec.level, bitrate_mode="CONSTANT" if codec.constant else None,
    ) as file:  # fmt: skip
        for at in range(0, len(x), _BLOCK):
            file.write(x[at : at + _BLOCK])
    memory.seek(0)
    y = np.asarray(soundfile.read(memory, dtype="float32")[0])
    # A low-rate MP3 has no room for the tag that tells decoders the delay; then the end is padded.
    late = _MP3_DELAY if codec.format == "MP3" and len(y) > len(x) else 0
    return np.pad(y[late:], (0, max(0, len(x) - len(y) + late)))[: len(x)]


def through(x: Audio, codec: Codec) -> Audio:
    """x after the codec, in time with x and as long.

    Raises `ValueError` where the installed libsndfile cannot write it.
    """
    if not soundfile.check_format(codec.format, codec.subtype):
        raise ValueError(
            f"libsndfile {soundfile.__libsndfile_version__} lacks {codec.subtype} in "
            f"{codec.format}: pip install --upgrade soundfile, or leave this corruption out"
        )
    rate, y = SAMPLE_RATE, x
    if codec.telephone:
        rate = SAMPLE_RATE // 2
        y = resample_poly(_filtered(x, (300.0, 3400.0), keep_low=False), 1, 2)
    y = _there_and_back(np.clip(y, -1.0, 1.0).astype(np.float32), codec, rate)
    y = resample_poly(y, SAMPLE_RATE // rate, 1)[: len(x)]
    return np.clip(y, -1.0, 1.0).astype(np.float32)


# libsndfile: an MP3 at 16 kHz has 160 - 152 * level kbit/s, Opus 6 + 250 * (1 - level).
CODECS: dict[str, Codec] = {
    "mp3_16k": Codec(format="MP3", subtype="MPEG_LAYER_III", level=144 / 152, constant=True),
    "mp3_8k": Codec(format="MP3", subtype="MPEG_LAYER_III", level=0.99, constant=True),
    "vorbis_q0": Codec(format="OGG", subtype="VORBIS", level=1.0),
    "opus_16k": Codec(format="OGG", subtype="OPUS", level=1 - 10 / 250),
    "opus_8k": Codec(format="OGG", subtype="OPUS", level=1 - 2 / 250),
    "mulaw_8khz": Codec(format="WAV", subtype="ULAW", telephone=True),
    "gsm_8khz": Codec(format="WAV", subtype="GSM610", telephone=True),
}
"""Codecs by the name of their corruption; k stands for kbit/s."""


def _coded(codec: Codec) -> Change:
    return lambda x, rng: through(x, codec)


def lowpass(x: Audio, cutoff_hz: float) -> Audio:
    """x without what lies above the cutoff."""
    return _filtered(x, (cutoff_hz,), keep_low=True)


# ---------------------------------------------------------------------------- rooms, gain, loss


def room(x: Audio, rng: np.random.Generator, rt60_s: float) -> Audio:
    """x in a room that decays by 60 dB in `rt60_s`, at the RMS level of x (at most peak 1). The
    tail is cut with the clip, and after 1.2 s."""
    y = reverberate(rng, x, rt60_s)[: len(x)]
    own = _rms(y)
    return _within(y.astype(np.float64) * (_rms(x) / own)) if own > 0 else y


def clipped(x: Audio, share: float) -> Audio:
    """The largest `share` of all samples that are not 0, cut down to the smallest of them."""
    size = np.sort(np.abs(x[x != 0]))
    if not len(size):
        return x.copy()
    limit = size[len(size) - max(1, round(share * len(size)))]
    return np.clip(x, -limit, limit)


BAD_LOSS = 0.75
BAD_FRAMES = 4.0


def lost_frames(rng: np.random.Generator, count: int, share: float) -> Bool[np.ndarray, " count"]:
    """Which packets are lost, by the model of Gilbert and Elliott: a good state that loses none, a
    bad one of 4 packets on average that loses three in four; `share` of all in the long run."""
    bad_share = share / BAD_LOSS
    leave = 1 / BAD_FRAMES
    enter = leave * bad_share / (1 - bad_share)
    draws, losses = rng.random(count), rng.random(count) < BAD_LOSS
    bad, found = False, np.zeros(count, dtype=bool)
    for i in range(count):
        # The first packet finds the state as it is in the long run.
        change = bad_share if i == 0 else leave if bad else enter
        bad = bad != bool(draws[i] < change)
        found[i] = bad and losses[i]
    return found


def packet_loss(x: Audio, rng: np.random.Generator, share: float) -> Audio:
    """Lost packets of 20 ms are filled with zeros."""
    lost = lost_frames(rng, -(-len(x) // FRAME), share)
    return np.where(np.repeat(lost, FRAME)[: len(x)], np.float32(0), x)


# ---------------------------------------------------------------------------- time


def speed(x: Audio, factor: Fraction) -> Audio:
    """Played `factor` times as fast: pitch moves too. ceil(n / factor) samples."""
    return _within(resample_poly(x.astype(np.float64), factor.denominator, factor.numerator))


_WINDOW, _SEARCH = 800, 200  # samples: 50 ms hold four periods of 80 Hz, +-12.5 ms one


def _continuation(region: Float[np.ndarray, " r"], wanted: Float[np.ndarray, " w"]) -> int:
    """Where in `region` lies what is most like `wanted` (normalised correlation)."""
    if not wanted.any():
        return _SEARCH
    energy = np.cumsum(np.pad(region**2, (1, 0)))
    own = np.maximum(energy[len(wanted) :] - energy[: -len(wanted)], 1e-12)
    return int(np.argmax(np.correlate(region, wanted, "valid") / np.sqrt(own)))


def tempo(x: Audio, factor: Fraction) -> Audio:
    """`factor` times as fast at the same pitch, by overlap and add of the windows that fit best
    (WSOLA; Verhelst and Roelands 1993). ceil(n / factor) samples."""
    length, hop = -(-len(x) * factor.denominator // factor.numerator), _WINDOW // 2
    origin = _WINDOW + _SEARCH
    padded = np.pad(x.astype(np.float64), (origin, origin + 2 * _WINDOW))
    bell = np.hanning(_WINDOW + 1)[:-1]
    out = np.zeros(length + 2 * _WINDOW)
    start = origin - hop
    for k in range(length // hop + 2):
        if k:
            ideal = origin - hop + round(k * hop * factor) - _SEARCH
            wanted = padded[start + hop : start + hop + _WINDOW]
            start = ideal + _continuation(padded[ideal : ideal + 2 * _SEARCH + _WINDOW], wanted)
        out[k * hop : k * hop + _WINDOW] += bell * padded[start : start + _WINDOW]
    return _within(out[hop : hop + length])


# ---------------------------------------------------------------------------- the table


def _timed(family: str, change: Callable[[Audio, Fraction], Audio], factor: str) -> Corruption:
    by = Fraction(factor)
    return Corruption(family=family, change=lambda x, rng: change(x, by), factor=by)


def _moved(before_s: float = 0.0, after_s: float = 0.0) -> Corruption:
    change = partial(silence_around, before_s=before_s, after_s=after_s)
    return Corruption(family="position", change=change, added=samples(before_s + after_s))


def _clipped(percent: int) -> Change:
    return lambda x, rng: clipped(x, percent / 100)


SNRS_DB: dict[str, tuple[int, ...]] = {
    "white": (20, 10, 5, 0),
    "pink": (20, 10, 5, 0),
    "babble": (20, 10, 5, 0),
    "music": (10, 5, 0),
}
"""Masking sounds and the signal-to-noise ratios at which they are mixed in."""

_CHANGES: dict[str, Change] = {
    **{f"{k}_{db}db": _masked(MASKS[k], db) for k, dbs in SNRS_DB.items() for db in dbs},
    **{name: _coded(codec) for name, codec in CODECS.items()},
    **{f"room_{rt60}s": partial(room, rt60_s=rt60) for rt60 in (0.3, 0.8, 1.5)},
    **{f"clipped_{percent}pct": _clipped(percent) for percent in (3, 10)},
    **{f"loss_{percent}pct": partial(packet_loss, share=percent / 100) for percent in (5, 10, 20)},
    "gain_-20db": lambda x, rng: gain(x, -20.0),
    "offset_0.05": partial(offset, by=0.05),
    "lowpass_4khz": lambda x, rng: lowpass(x, 4000.0),
}

CORRUPTIONS: dict[str, Corruption] = {
    **{k: Corruption(family=k.split("_")[0], change=change) for k, change in _CHANGES.items()},
    **{f"speed_{by}": _timed("speed", speed, by) for by in ("0.8", "0.9", "1.1", "1.25")},
    **{f"tempo_{by}": _timed("tempo", tempo, by) for by in ("0.8", "1.25")},
    **{f"position_before_{s}s": _moved(before_s=s) for s in (0.25, 0.5, 1, 2)},
    **{f"position_after_{s}s": _moved(after_s=s) for s in (1, 2)},
    "position_around_1s": _moved(before_s=1, after_s=1),
    "position_noise_1s": Corruption(
        family="position", change=partial(own_noise_around, seconds=1), added=samples(2)
    ),
}
"""All corruptions by name."""


def corrupt(name: str, clip: Audio, key: str) -> Audio:
    """The clip after corruption `name`, drawn from name and key alone: the same key gives the same
    samples, bit for bit. An empty clip stays empty.

    `clip` is finite and within [-1, 1]. Raises `ValueError` for an unknown name and for a codec
    that the installed libsndfile lacks.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"unknown corruption {name!r}; expected one of {', '.join(CORRUPTIONS)}")
    if not len(clip):
        return clip.copy()
    rng = np.random.default_rng([zlib.crc32(name.encode()), zlib.crc32(key.encode())])
    return CORRUPTIONS[name].change(clip, rng)
