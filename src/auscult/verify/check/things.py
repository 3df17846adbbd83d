"""Checks of what is there: counts, orders, times, presence."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from auscult.verify.check.base import (
    Outcome,
    focus,
    judged,
    kinds_of,
    number_of,
    pick_sounds,
    same,
    semitones,
)
from auscult.verify.claims import (
    AMBIGUOUS,
    CONTRADICTED,
    SUPPORTED,
    Claim,
)
from auscult.verify.hear import measures, music
from auscult.verify.hear import sound as levels
from auscult.verify.hear.listening import NOTES, Listening, Refused
from auscult.verify.read.base import BACKGROUNDS, EVENTS, THINGS


def known(subject: str) -> None:
    """Refused for a thing that no measurement here tells from others."""
    if subject not in EVENTS | THINGS | {"", "syllable", "silence", "one"}:
        raise Refused(f"nothing here tells {subject} from other sounds")


def counted(ear: Listening, subject: str) -> int:
    """How many of a subject there are."""
    if subject in EVENTS and subject != "beep":
        return kinds_of(ear).count(subject)
    if subject == "beep":
        kinds = kinds_of(ear)
        return kinds.count("beep") or sum(k in NOTES for k in kinds)
    if subject in ("gap", "pause"):
        return len(ear.pauses) if ear.is_voice else max(0, len(ear.sounds) - 1)
    if subject in ("note", "tone"):
        pitched = [s for s in ear.sounds if s.kind in NOTES]
        return len(ear.notes) if len(pitched) == len(ear.sounds) else len(pitched)
    if subject in ("voice", "speech"):
        return _voices(ear)
    return len(ear.sounds)


def _voices(ear: Listening) -> int:
    """Groups of voiced sounds whose pitches lie under 3 semitones apart."""
    st = sorted(semitones(s.hz) for s in ear.sounds if s.kind == "voice" and s.hz == s.hz)
    if not st:
        return 0
    return 1 + sum(b - a > 3 for a, b in itertools.pairwise(st))


def check_count(ear: Listening, claim: Claim) -> Outcome:
    """A number of things. Clips of running speech have no countable onsets."""
    subject = claim.about.subject
    if subject not in BACKGROUNDS | {"speech"}:
        known(subject)
    if ear.is_voice and subject in ("sound", "note", "tone", "syllable"):
        raise Refused("a voice's sounds are not counted")
    if "unknown" in kinds_of(ear) and subject in EVENTS and not ear.is_voice:
        raise Refused("some sounds are of no known kind")
    part = ear.within(claim.about.span) if claim.about.span is not None else ear
    if subject == "pause" and (part.is_voice or len(part.sounds) < 2):
        return _count_pauses(part, claim)
    found = counted(part, subject)
    return Outcome(
        verdict=same(number_of(claim), float(found)), measured=f"{found}", function="events"
    )


PAUSES_FROM_S = (0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""From which length on a silence in speech is called a pause: people draw any of these lines."""


def _count_pauses(ear: Listening, claim: Claim) -> Outcome:
    """Pauses of speech: right by any of the usual lines, wrong where no line comes near."""
    lengths = [end - start for start, end in ear.pauses]
    counts = [sum(s >= least for s in lengths) for least in PAUSES_FROM_S]
    claimed = number_of(claim)
    verdict = AMBIGUOUS if min(counts) - 1 <= claimed <= max(counts) + 1 else CONTRADICTED
    return Outcome(
        verdict=SUPPORTED if claimed in counts else verdict,
        measured=f"{min(counts)} to {max(counts)} pauses",
        tolerance=f"silences of {PAUSES_FROM_S[0]} to {PAUSES_FROM_S[-1]} s and more",
        function="pauses",
    )  # fmt: skip


def check_meter(ear: Listening, claim: Claim) -> Outcome:
    """Beats from accent to accent."""
    found = music.meter(ear)
    return Outcome(
        verdict=same(number_of(claim), found), measured=f"{found:.0f} beats", function="meter"
    )


def _sequence(ear: Listening, names: Sequence[str]) -> list[str]:
    """The clip in the words of the list: notes, timbres or events."""
    if all(
        n[0] in "ABCDEFG" and (n[-1].isdigit() or n.endswith("#") or len(n) == 1) for n in names
    ):
        found = music.notes(ear).split()
        return found if names[0][-1].isdigit() else [n.rstrip("-0123456789") for n in found]
    if set(names) <= {"pure", "buzzy", "hollow", "plucked"}:
        return [music.timbre(ear.within((s.start_s + 0.02, s.end_s - 0.01))) for s in ear.sounds]
    for words in (("strong", "weak"), ("long", "short"), ("loud", "soft")):
        if set(names) <= set(words):
            return _by_halves(ear, *words)
    return [s.kind for s in ear.sounds if s.kind != "voice"]


def _by_halves(ear: Listening, upper: str, lower: str) -> list[str]:
    """Every sound as above or below the middle between the extremes of length or level."""
    length = upper == "long"
    values = [math.log(max(s.length_s, 0.01)) if length else s.level_db for s in ear.sounds]
    if len(values) < 2 or max(values) - min(values) < (0.35 if length else 4.0):
        raise Refused("the sounds do not differ enough to tell them apart")
    return [upper if v > (max(values) + min(values)) / 2 else lower for v in values]


_HALVES = {"strong", "weak", "long", "short", "loud", "soft"}


def check_sequence(ear: Listening, claim: Claim) -> Outcome:
    """A list in time: the whole clip, or of things with names a stretch of it without a gap."""
    names = [str(n) for n in claim.value] if isinstance(claim.value, tuple) else []
    if not names:
        raise Refused("an order needs names")
    found = _sequence(ear, names)
    heard = " ".join(found)
    merged = [n for i, n in enumerate(found) if i == 0 or n != found[i - 1]]
    runs = [found[i : i + len(names)] for i in range(max(1, len(found) - len(names) + 1))]
    partial = len(names) > 1 and not set(names) <= _HALVES
    if names in (found, merged) or (partial and names in runs):
        return Outcome(verdict=SUPPORTED, measured=heard, function="events")
    return Outcome(verdict=CONTRADICTED, measured=heard, function="events")


def check_before(ear: Listening, claim: Claim) -> Outcome:
    """One thing before another."""
    if not isinstance(claim.value, tuple) or len(claim.value) != 2:
        raise Refused("an order needs two things")
    first, second = claim.value
    if not {first, second} <= EVENTS | {"voice"}:
        raise Refused(f"whether {first} comes before {second} is not measured here")
    kinds = kinds_of(ear)
    if first not in kinds or second not in kinds:
        return Outcome(verdict=CONTRADICTED, measured=" ".join(kinds), function="events")
    right = kinds.index(first) < kinds.index(second)
    verdict = SUPPORTED if right else CONTRADICTED
    return Outcome(verdict=verdict, measured=" ".join(kinds), function="events")


def check_time(ear: Listening, claim: Claim) -> Outcome:
    """When something starts, within 0.1 s; within 0.3 s where whole seconds are named."""
    if claim.about.subject in ("gap", "pause"):
        found = [start for start, _ in ear.pauses]
    elif claim.about.subject and claim.about.subject not in EVENTS | THINGS:
        raise Refused(f"when {claim.about.subject} is heard is not measured here")
    else:
        found = [s.start_s for s in pick_sounds(ear, claim.about)]
    if claim.about.subject in EVENTS and claim.about.subject not in kinds_of(ear):
        return Outcome(verdict=CONTRADICTED, measured="not heard", function="gaps")
    if not found:
        raise Refused("nothing sounds")
    claimed = number_of(claim)
    best = min(found, key=lambda t: abs(t - claimed))
    tolerance = 0.3 if claimed >= 1 and claimed == int(claimed) else 0.1
    return Outcome(
        verdict=judged(best - claimed, tolerance), measured=f"{best:.2f} s",
        tolerance=f"{tolerance} s", function="gaps",
    )  # fmt: skip


STEADY_DB, MOVING_DB = 6.0, 12.0
"""Noise alone moves less than the first from one tenth of a second to the next, an event more than
the second."""

LASTING = 6
"""Values every 50 ms: what is shorter is a burst and no lasting noise."""


def noise_alone(ear: Listening, claim: Claim) -> Outcome:
    """Something lasts, hardly moves and has no pitch."""
    level = ear.slow_envelope_db
    there = np.flatnonzero(level > max(float(level.max(initial=-99.0)) - 25, -70.0))
    inside = level[there[0] + 2 : there[-1] - 1] if len(there) else level[:0]
    if ear.silent or len(inside) < LASTING:
        return Outcome(verdict=CONTRADICTED, measured="no lasting sound")
    moves = float(np.ptp(np.percentile(inside, (5, 95))))
    pitched = levels.periodic(ear)
    verdict = AMBIGUOUS if moves < MOVING_DB and pitched < 0.6 else CONTRADICTED
    if moves <= STEADY_DB and pitched < 0.5:
        verdict = SUPPORTED
    return Outcome(
        verdict=verdict, measured=f"level moves by {moves:.0f} dB, periodicity {pitched:.2f}",
        tolerance=f"{STEADY_DB:g} dB, no pitch",
    )  # fmt: skip


def _background(ear: Listening, claim: Claim) -> Outcome:
    subject, kinds = claim.about.subject, kinds_of(ear)
    kind = "the main sound" if subject in kinds else levels.background(ear)
    heard = kind == subject or subject in kinds
    return Outcome(verdict=verdict_of(heard), measured=f"behind: {kind}", function="background")


def _event(ear: Listening, claim: Claim) -> Outcome:
    subject = claim.about.subject
    found = [s.kind for s in pick_sounds(ear, replace(claim.about, subject=""))]
    if "unknown" in found and subject not in found:
        raise Refused("some sounds are of no known kind")
    if not found and not ear.silent and about_all(claim):
        raise Refused("nothing stands out of the background")
    heard = subject in found
    return Outcome(verdict=verdict_of(heard), measured=" ".join(found), function="events")


def _voice(ear: Listening, claim: Claim) -> Outcome:
    spoken = [s for s in ear.sounds if s.kind == "voice"]
    share = sum(s.length_s for s in spoken)
    # A whisper has no pitch, but it has several sounds; one burst of noise is no voice.
    clear = share > 0.25 and (len(spoken) > 2 or any(s.hz == s.hz for s in spoken))
    if "unknown" in kinds_of(ear) and not clear:
        raise Refused("some sounds are of no known kind")
    return Outcome(verdict=verdict_of(clear), measured=f"{share:.1f} s of voice", function="events")


def _sound(ear: Listening, claim: Claim) -> Outcome:
    measured = "silent" if ear.silent else f"{ear.rms_db:.0f} dB"
    return Outcome(verdict=verdict_of(not ear.silent), measured=measured)


QUIET_DB, LOUD_DB = 35.0, 20.0
"""A stretch is silent this far under the loudest moment of its clip, and not silent within that."""


def _silent_stretch(ear: Listening, part: Listening) -> Outcome:
    """Is a named stretch silent, beside the rest of its clip?"""
    under = float(np.max(ear.slow_envelope_db) - np.percentile(part.slow_envelope_db, 90))
    verdict = AMBIGUOUS if LOUD_DB < under < QUIET_DB else verdict_of(under >= QUIET_DB)
    return Outcome(
        verdict=SUPPORTED if part.silent else verdict, measured=f"{under:.0f} dB under the loudest",
        tolerance=f"silent from {QUIET_DB:g} dB",
    )  # fmt: skip


def _silence(ear: Listening, claim: Claim) -> Outcome:
    if claim.about.span is not None or claim.about.region:
        part = focus(ear, replace(claim.about, place=None, subject=""))
        if len(part.slow_envelope_db):
            return _silent_stretch(ear, part)
    quiet = ear.silent or levels.background(ear) == "silence"
    measured = "rests are silent" if quiet else "sound throughout"
    return Outcome(verdict=verdict_of(quiet), measured=measured)


def _noise(ear: Listening, claim: Claim) -> Outcome:
    ratio = levels.snr_db(ear)
    verdict = AMBIGUOUS if 20 < ratio < 35 else verdict_of(ratio <= 20)
    return Outcome(verdict=verdict, measured=f"{ratio:.0f} dB SNR")


def _echo(ear: Listening, claim: Claim) -> Outcome:
    tail = measures.MEASURES["reverberation"].function(ear)
    clear = isinstance(tail, float) and tail > 0.45
    return Outcome(verdict=verdict_of(clear), measured=f"{tail:.2f} s")


def _pause(ear: Listening, claim: Claim) -> Outcome:
    n = levels.pauses(ear)
    return Outcome(verdict=verdict_of(n > 0), measured=f"{n:.0f} pauses")


PRESENCE: dict[str, Callable[[Listening, Claim], Outcome]] = {
    **dict.fromkeys(BACKGROUNDS, _background),
    **dict.fromkeys(EVENTS, _event),
    "voice": _voice,
    "speech": _voice,
    "sound": _sound,
    "noise alone": noise_alone,
    "silence": _silence,
    "noise": _noise,
    "echo": _echo,
    "pause": _pause,
}
"""What can be there -> how it is looked for."""


def check_presence(ear: Listening, claim: Claim) -> Outcome:
    """Is there such a thing? Events by class, backgrounds by what is heard in the rests."""
    subject = claim.about.subject
    if subject not in PRESENCE:
        raise Refused(f"whether there is {subject} is not measured here")
    return PRESENCE[subject](ear, claim)


def about_all(claim: Claim) -> bool:
    """Does the claim speak of the whole clip, and not of a place or a stretch of it?"""
    return claim.about.place is None and claim.about.span is None


def verdict_of(true: bool) -> str:
    """The verdict of a statement that is simply true or false."""
    return SUPPORTED if true else CONTRADICTED
