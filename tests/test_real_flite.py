"""Words that a synthesiser speaks: what is asked of it, and what happens where it does not run."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from auscult.real.read import synthesised
from auscult.real.read.decode import decode
from auscult.real.read.synthesised import flite, phrase, vocabulary
from auscult.real.recording import Clip, RealSoundError, Skip

WORDS = "apple\nbranch\ncat\nAlice\ncan't\nét\nno\nunquestionably\n"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Unpacked packages whose program writes one second of a tone and what it was asked to say."""
    tone = 0.3 * np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000)
    soundfile.write(tmp_path / "tone.wav", tone.astype(np.float32), 16_000)
    words = tmp_path / "wamerican-small/usr/share/dict/american-english-small"
    words.parent.mkdir(parents=True)
    words.write_text(WORDS)
    program = tmp_path / "flite/usr/bin/flite"
    program.parent.mkdir(parents=True)
    program.write_text(
        '#!/bin/sh\necho "$2 $4 $6 $LD_LIBRARY_PATH" >> ' + f"{tmp_path}/asked\n"
        f'cp {tmp_path}/tone.wav "$8"\n'
    )
    library = tmp_path / "libflite1/usr/lib/somewhere/libflite.so.2.2"
    library.parent.mkdir(parents=True)
    library.touch()
    return tmp_path


def test_only_plain_words_are_spoken(tmp_path: Path):
    (tmp_path / "list").write_text(WORDS)
    assert vocabulary(tmp_path / "list") == ("apple", "branch", "cat")


def test_phrases_have_one_to_three_words_and_end_with_one_of_the_list():
    rng = np.random.default_rng(0)
    said = [phrase(rng, ("apple", "branch", "cat")).split() for _ in range(300)]
    assert {len(words) for words in said} == {1, 2, 3}
    assert all(words[-1] in ("apple", "branch", "cat") for words in said)
    assert any(words[0] in synthesised.JOINING for words in said)


def test_each_voice_says_its_own_phrases_once_and_the_same_every_time(
    packages: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(synthesised, "CLIPS", 40)
    found = list(flite("slt")(packages))
    clips = [c for c in found if isinstance(c, Clip)]
    assert len(found) == 40 and any(isinstance(c, Skip) for c in found)
    assert len({c.text for c in clips}) == len(clips)
    assert all(c.exact and c.language == "en" and not c.speaker for c in clips)
    assert decode(clips[0].sound, "").seconds == 1.0
    asked = (packages / "asked").read_text().splitlines()
    assert asked[0].startswith(f"slt {clips[0].text} duration_stretch=")
    assert [c.text for c in flite("slt")(packages) if isinstance(c, Clip)] == [
        c.text for c in clips
    ]
    assert [c.text for c in flite("rms")(packages) if isinstance(c, Clip)] != [
        c.text for c in clips
    ]


def test_libraries_without_their_links_are_found(packages: Path, tmp_path: Path):
    links = tmp_path / "links"
    links.mkdir()
    environment = synthesised.with_libraries(packages / "flite", links)
    assert environment["LD_LIBRARY_PATH"] == str(links)
    assert (links / "libflite.so.1").resolve().name == "libflite.so.2.2"


def test_a_program_that_does_not_run_here_is_an_error_that_says_why(packages: Path):
    (packages / "flite/usr/bin/flite").write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(RealSoundError, match=r"flite does not run here.*kind of processor"):
        next(iter(flite("slt")(packages)))
