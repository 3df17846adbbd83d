"""General MIDI by number: instruments, the drum kit, and words for them that agree with labels."""

PROGRAMS = (
    "acoustic grand piano", "bright acoustic piano", "electric grand piano", "honky-tonk piano",
    "electric piano 1", "electric piano 2", "harpsichord", "clavinet",
    "celesta", "glockenspiel", "music box", "vibraphone",
    "marimba", "xylophone", "tubular bells", "dulcimer",
    "drawbar organ", "percussive organ", "rock organ", "church organ",
    "reed organ", "accordion", "harmonica", "bandoneon",
    "nylon guitar", "steel guitar", "jazz guitar", "clean electric guitar",
    "muted electric guitar", "overdriven guitar", "distortion guitar", "guitar harmonics",
    "acoustic bass", "fingered bass", "picked bass", "fretless bass",
    "slap bass 1", "slap bass 2", "synth bass 1", "synth bass 2",
    "violin", "viola", "cello", "contrabass",
    "tremolo strings", "pizzicato strings", "orchestral harp", "timpani",
    "string ensemble 1", "string ensemble 2", "synth strings 1", "synth strings 2",
    "choir aahs", "voice oohs", "synth voice", "orchestra hit",
    "trumpet", "trombone", "tuba", "muted trumpet",
    "french horn", "brass section", "synth brass 1", "synth brass 2",
    "soprano saxophone", "alto saxophone", "tenor saxophone", "baritone saxophone",
    "oboe", "english horn", "bassoon", "clarinet",
    "piccolo", "flute", "recorder", "pan flute",
    "blown bottle", "shakuhachi", "whistle", "ocarina",
    "square lead", "sawtooth lead", "calliope lead", "chiff lead",
    "charang lead", "voice lead", "fifths lead", "bass and lead",
    "new age pad", "warm pad", "polysynth pad", "choir pad",
    "bowed pad", "metallic pad", "halo pad", "sweep pad",
    "rain", "soundtrack", "crystal", "atmosphere",
    "brightness", "goblins", "echoes", "sci-fi",
    "sitar", "banjo", "shamisen", "koto",
    "kalimba", "bagpipe", "fiddle", "shanai",
    "tinkle bell", "agogo", "steel drums", "woodblock",
    "taiko drum", "melodic tom", "synth drum", "reverse cymbal",
    "guitar fret noise", "breath noise", "seashore", "bird tweet",
    "telephone ring", "helicopter", "applause", "gunshot",
)  # fmt: skip
"""Names of programs 0 to 127."""

_UNTUNED = frozenset(
    {8, 9, 16, 17, 18, 19, 31, 43, 46, 47, 55, 77, 78, 86, 97, 98, 101}
)  # fmt: skip
"""Sound at other pitches than asked for in at least one font: octaves of organs, chords, bells."""

PITCHED = tuple(n for n in range(112) if n not in _UNTUNED)
"""Programs whose pitch is that of the note."""

INSTRUMENTS: dict[str, tuple[int, ...]] = {
    "piano": (0, 1, 2, 3),
    "organ": (16, 17, 18, 19, 20),
    "accordion": (21, 23),
    "guitar": (24, 25, 26, 27),
    "violin": (40, 110),
    "trumpet": (56, 59),
    "saxophone": (64, 65, 66, 67),
    "clarinet": (71,),
    "flute": (72, 73, 74),
    "xylophone": (12, 13),
}
"""Ten words for "which instrument"; each is also a label of real recordings."""

DRUMS: dict[str, tuple[int, ...]] = {
    "kick": (35, 36),
    "snare": (38, 40),
    "rimshot": (37,),
    "clap": (39,),
    "hi-hat": (42, 44, 46),
    "tom": (41, 43, 45, 47, 48, 50),
    "cymbal": (49, 51, 52, 55, 57, 59),
    "tambourine": (54,),
    "cowbell": (56,),
    "bongo": (60, 61),
    "conga": (62, 63, 64),
    "maracas": (70,),
    "clave": (75,),
    "woodblock": (76, 77),
    "triangle": (80, 81),
}
"""Keys of the drum kit by the label of such a sound."""
