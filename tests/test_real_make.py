"""Real sound from packages to manifest: twins, what is missing, resuming, the split, fonts."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixture_real import encoded, tone, write_debs
from hypothesis import given
from hypothesis import strategies as st

from auscult.audio.hear.pitch import pitch_track
from auscult.real import check, fonts, make
from auscult.real.commands import labels_table, report, sources_table
from auscult.real.packages import Places
from auscult.real.programs import DRUMS, INSTRUMENTS, PITCHED, PROGRAMS
from auscult.real.read import labels
from auscult.real.recording import RealSoundError, Recording, default_folder, load, read_recordings
from auscult.real.sources import FONTS, SHARED_VOICES, SOURCES, of_name, split_of

# --- twins


def recording(key: str, md5: str, split: str = "train", **more: object) -> Recording:
    return Recording(
        key=key, file=f"{key}.flac", source=key.split("/")[0], split=split, kind="speech",
        seconds=1.0, licence="CC0-1.0", md5=md5, **more,
    )  # fmt: skip


rows = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(("train", "heldout"))), max_size=12)


@given(rows=rows)
def test_one_of_each_sound_is_kept_and_the_held_out_one_if_there_is_one(
    rows: list[tuple[int, str]],
):
    made = [recording(f"s/{i}", str(md5), split) for i, (md5, split) in enumerate(rows)]
    kept, dropped = make.without_twins(made)
    assert len({r.md5 for r in kept}) == len(kept) == len({r.md5 for r in made})
    assert len(kept) + sum(dropped.values()) == len(made)
    held = {r.md5 for r in made if r.split == "heldout"}
    assert {r.md5 for r in kept if r.split == "heldout"} == held
    assert kept == sorted(kept, key=made.index)


def test_what_twins_contradict_is_not_believed():
    one = recording("a/1", "x", text="La letra a.", exact=True, label="pig", family="animal")
    same = recording("a/2", "x", text="la letra A", exact=True, label="pig", family="animal")
    other = recording("a/3", "x", text="La letra b.", label="dog", family="animal", speaker="v")
    (kept,), _ = make.without_twins([one, same])
    assert kept == one
    (kept,), _ = make.without_twins([one, other])
    assert (kept.exact, kept.label, kept.family, kept.text) == (False, "", "animal", "La letra a.")


# --- from packages to manifest

_GCIN = "usr/share/gcin-voice/ogg"
_PI = "usr/share/sonic-pi/samples"
NAMES = ("gcin-5", "gcin-3", "sonic-pi", "hydrogen", "opensfx")


def gcin(count: int) -> dict[str, bytes]:
    """Syllables of two voices; the last one of either is the same sound."""
    found = {
        f"{_GCIN}/ㄅ{i}/{v}.ogg": encoded(tone(200 + 37 * i + int(v), 0.2), "OGG")
        for i in range(count)
        for v in "35"
    }
    same = encoded(tone(900.0), "OGG")
    return found | {f"{_GCIN}/ㄆ/3.ogg": same, f"{_GCIN}/ㄆ/5.ogg": same}


@pytest.fixture
def debs(tmp_path: Path) -> Path:
    folder = write_debs(tmp_path / "debs", {
        "gcin-voice": gcin(3),
        "sonic-pi-samples": {
            f"{_PI}/bd_808.flac": encoded(tone(60.0), "FLAC"),
            f"{_PI}/misc_crow.flac": encoded(tone(700.0), "FLAC"),
            f"{_PI}/drum_tick.flac": encoded(tone(700.0, 0.05), "FLAC"),
            f"{_PI}/broken.flac": b"no sound",
        },
        "openttd-opensfx": {"usr/share/other.txt": b""},
    })  # fmt: skip
    (folder / "hydrogen-data_1.0_all.deb").write_bytes(b"!<arch>\ncut")
    return folder


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")


def stamps(folder: Path, pattern: str) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in sorted(folder.rglob(pattern))}


@pytest.mark.usefixtures("no_network")
def test_packages_become_a_manifest_and_a_broken_one_does_not_stop_the_others(
    tmp_path: Path, debs: Path
):
    places = Places(cache=tmp_path / "cache", debs=debs)
    outcome = make.make(places, NAMES, processes=1)
    found = {r.key: r for r in read_recordings(places.cache)}
    assert tuple(found.values()) == outcome.recordings
    assert len(found) == 3 + 4 + 2  # the last syllable of voice 5 is a twin of one held out
    assert "gcin-5/ㄆ/5" not in found and found["gcin-3/ㄆ/3"].split == "heldout"
    crow = found["sonic-pi/misc_crow"]
    assert (crow.label, crow.family, crow.kind, crow.licence) == (
        "crow",
        "animal",
        "effect",
        "CC0-1.0",
    )
    assert np.abs(load(places.cache, crow)).max() == pytest.approx(0.5, abs=0.01)
    assert outcome.left_out["sonic-pi"] == {"shorter than 0.15 s": 1, "cannot be decoded": 1}
    assert outcome.left_out["gcin-5"] == {make.TWIN: 1}
    assert set(outcome.failed) == {"hydrogen", "opensfx"}
    assert "no data.tar" in outcome.failed["hydrogen"]
    assert "holds no **/opensfx.cat" in outcome.failed["opensfx"]
    said = report(outcome, places.cache)
    assert "left out      1  silent" not in said and "NOT THERE hydrogen" in said
    assert json.loads((places.cache / make.SUMMARY).read_text())["clips"] == 9


@pytest.mark.usefixtures("no_network")
def test_without_debian_it_says_what_to_download_and_where_to_put_it(tmp_path: Path):
    outcome = make.make(Places(cache=tmp_path), ("gcin-5", "salamander", "fluid"), processes=1)
    assert not outcome.recordings and not outcome.fonts
    assert "packages.debian.org/bookworm/gcin-voice" in outcome.failed["gcin-5"]
    assert "--debs FOLDER" in outcome.failed["fluid"]
    assert "Node.js" in outcome.failed["salamander"]


@pytest.mark.usefixtures("no_network")
def test_a_second_call_does_only_what_is_missing(tmp_path: Path, debs: Path):
    places = Places(cache=tmp_path / "cache", debs=debs)
    first = make.make(places, NAMES[:3], processes=1)
    before = stamps(places.cache / "clips", "*.flac") | stamps(places.cache / "unpacked", "*.ogg")
    again = make.make(Places(cache=places.cache), NAMES[:3], processes=1)  # without --debs
    assert again.recordings == first.recordings
    after = stamps(places.cache / "clips", "*.flac") | stamps(places.cache / "unpacked", "*.ogg")
    assert after == before
    lost = places.cache / first.recordings[0].file
    lost.unlink()
    assert make.make(Places(cache=places.cache), NAMES[:3], processes=1) == first
    assert lost.is_file()
    changed = {
        p for p, when in stamps(places.cache / "clips", "*.flac").items() if before.get(p) != when
    }
    assert changed and all(f"/{first.recordings[0].source}/" in p for p in changed)


def test_a_source_that_cannot_be_had_again_keeps_what_was_made(
    tmp_path: Path, debs: Path, no_network: None
):
    cache = tmp_path / "cache"
    first = make.make(Places(cache=cache, debs=debs), ("gcin-5",), processes=1)
    (cache / "unpacked" / "gcin-voice").rename(tmp_path / "gone")
    again = make.make(Places(cache=cache), ("gcin-5",), processes=1)
    assert again == first and not again.failed


_SCRIPT = """
import sys
from pathlib import Path
from auscult.real.make import make
from auscult.real.packages import Places
if __name__ == "__main__":
    make(Places(cache=Path(sys.argv[1]), debs=Path(sys.argv[2])), ("gcin-5", "gcin-3"), 1)
"""


def test_killed_in_the_middle_it_comes_to_the_same(tmp_path: Path):
    debs = write_debs(tmp_path / "debs", {"gcin-voice": gcin(40)})
    straight = make.make(Places(cache=tmp_path / "a", debs=debs), ("gcin-5", "gcin-3"), processes=1)
    script = tmp_path / "run.py"
    script.write_text(_SCRIPT)
    cache = tmp_path / "b"
    process = subprocess.Popen(
        [sys.executable, str(script), str(cache), str(debs)], start_new_session=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if len(list(cache.glob("clips/**/*.flac"))) > 8:
            os.killpg(process.pid, signal.SIGKILL)
            break
        time.sleep(0.002)
    assert process.wait() == -signal.SIGKILL
    with pytest.raises(RealSoundError):
        read_recordings(cache)
    resumed = make.make(Places(cache=cache, debs=debs), ("gcin-5", "gcin-3"), processes=1)
    assert resumed == straight
    for r in resumed.recordings:
        assert np.array_equal(load(cache, r), load(tmp_path / "a", r))


def test_sung_notes_come_from_a_clone_of_any_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    repository = tmp_path / "notes"
    (repository / "x" / "mono").mkdir(parents=True)
    for name in ("mono/C3.wav", "read.me"):
        (repository / "x" / name).write_bytes(encoded(tone(130.8)))
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "notes"]):
        subprocess.run(["git", *words], cwd=repository, check=True)
    monkeypatch.chdir(tmp_path)
    places = Places(cache=tmp_path / "cache", vocobox="notes")
    (note,) = make.make(places, ("vocobox",), processes=1).recordings
    assert (note.label, note.midi, note.file) == ("C3", 48, "clips/vocobox/x/mono/C3.flac")
    assert len(list((tmp_path / "cache" / "unpacked").rglob("*.*"))) == 1


# --- the table

TRAIN = {
    "asterisk-en", "asterisk-fr", "asterisk-ru", "prompts-it", "prompts-fr", "prompts-es",
    "fillets-nl", "fillets-en",
    *(f"tuxpaint-{code}" for code in ("be", "bg", "ca", "es", "fr", "lt", "nl", "ro", "ru")),
    "tuxpaint-effects", "gcin-5", "fsdd", "flite-awb", "flite-kal16", "flite-rms", "flite-slt",
    "sonic-pi", "hydrogen", "lmms",
    *(f"klettres-{code}" for code in ("ar", "cs", "da", "de", "es", "fr", "it", "lt", "ml", "nb",
                                      "nds", "nl", "pt_BR", "ru", "uk")),
}  # fmt: skip
"""Written out by hand: whoever moves a source moves it here as well."""


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.name)
def test_no_source_but_these_trains(source):
    assert source.split == ("train" if source.name in TRAIN else "heldout")
    assert source.licence and source.holds and source.packages
    assert split_of(source, "digits/5") == (
        "heldout" if source.name == "asterisk-en" or source.split == "heldout" else "train"
    )
    assert split_of(source, "hello") == source.split


def test_rows_are_unique_and_fonts_have_a_side():
    assert len({s.name for s in SOURCES}) == len(SOURCES)
    assert len({s.name for s in SOURCES} & set(FONTS)) == 0
    assert (fonts.fonts("train"), fonts.fonts("heldout")) == (("fluid", "musescore"), ("timgm6mb",))
    with pytest.raises(ValueError, match="unknown source"):
        of_name("nothing")


def test_every_class_of_sound_has_one_family_and_every_family_is_used():
    table = json.loads((Path(labels.__file__).parent / "labels.json").read_text())
    entries = [e.lstrip("*") for names in table["sources"].values() for e in names.values()]
    used = {e for e in entries if e and not e.startswith("?")}
    assert {labels.family_of(label) for label in used} <= set(table["families"])
    every = [label for named in table["families"].values() for label in named]
    assert len(every) == len(set(every))
    assert set(every) == used, "a class without a sound, or a sound without a class"
    with pytest.raises(RealSoundError, match="no family"):
        labels.family_of("unicorn")
    assert set(DRUMS) <= set(every) and set(INSTRUMENTS) <= set(every)


def test_tables_show_what_is_there_and_what_is_not():
    some = [
        recording("gcin-5/a", "1", speaker="gcin-5", language="zh"),
        replace(recording("ovos/dog", "2", "heldout", label="dog", family="animal"), kind="effect"),
        replace(recording("lmms/x", "3", label="dog", family="animal"), kind="effect"),
    ]
    table = sources_table(some)
    assert "gcin-5  train    speech      1" in table and "not there: asterisk-en" in table
    assert labels_table(some).splitlines()[-1] == "1 classes are on both sides"


# --- checks


def test_a_check_agrees_with_right_labels_and_not_with_wrong_ones(tmp_path: Path):
    assert check.close("seven of clubs", " 7 of clubs.") and not check.close("seven", "eleven")
    assert check.plain("It's eighty!") == check.plain("it is 80")
    nearest = check._nearest_of(["cuckoo", "crow", "bee"])
    assert nearest("cuckoo", "Pucco.") and not nearest("crow", "Pucco.") and not nearest("bee", "x")
    assert check._same_digit("1", "One. 1.") and not check._same_digit("3", "1, 2, 3")
    assert not check._same_digit("5", "Bye.")
    x = tone(440.0 * 2 ** (1 / 12), 1.0)
    assert check.pitch_midi(x) == pytest.approx(70, abs=0.05)
    assert np.isnan(check.pitch_midi(np.zeros(16_000, np.float32)))
    texts = ["a" * n for n in (4, 8, 12, 40)]
    assert check.expected_seconds(texts, [0.9, 1.3, 1.7, 4.5]) == pytest.approx(
        [0.9, 1.3, 1.7, 4.5]
    )


# --- fonts


def test_general_midi_is_whole():
    assert len(PROGRAMS) == len(set(PROGRAMS)) == 128
    assert len(INSTRUMENTS) == 10
    assert {9, 16, 17, 18, 19, 31, 43, 46, 47, 55, 86, 97, 101}.isdisjoint(PITCHED)


@pytest.mark.parametrize(
    ("note", "message"),
    [
        (fonts.Note(128, 0.0, 1.0), "cannot be played"),
        (fonts.Note(60, 0.0, 0.0), "cannot be played"),
        (fonts.Note(60, 0.0, 1.0, 0), "cannot be played"),
        (fonts.Note(60, 2.0, 1.0), "behind the end"),
    ],
)
def test_notes_that_cannot_be_played_say_why(note: fonts.Note, message: str):
    with pytest.raises(ValueError, match=message):
        fonts.play("fluid", 0, [note], seconds=1.0)


def test_a_font_that_is_not_there_names_what_fetches_it(tmp_path: Path):
    with pytest.raises(RealSoundError, match="make real-sound"):
        fonts.play("fluid", 0, [fonts.Note(60, 0.0, 0.5)], seconds=1.0, folder=tmp_path)
    with pytest.raises(ValueError, match="unknown font"):
        fonts.font_path("harp")


# --- the real cache, where it is


@pytest.fixture(scope="module")
def real() -> list[Recording]:
    if not (default_folder() / "recordings.jsonl").is_file():
        pytest.skip("NO REAL SOUND HERE: `make real-sound` fetches it; its own tests are skipped")
    return read_recordings(default_folder())


@pytest.mark.slow
def test_no_voice_and_no_sound_lies_on_both_sides(real: list[Recording]):
    sides: dict[str, dict[str, set[str]]] = {"speaker": defaultdict(set), "md5": defaultdict(set)}
    for r in real:
        for field, found in sides.items():
            found[getattr(r, field)].add(r.split)
    both = {field: {v for v, s in found.items() if len(s) > 1} for field, found in sides.items()}
    assert both["speaker"] - {""} == SHARED_VOICES
    assert not both["md5"]
    assert len({r.key for r in real}) == len(real)


@pytest.mark.slow
def test_every_file_is_what_its_line_says(real: list[Recording]):
    chosen = np.random.default_rng(0).permutation(len(real))[:600]
    for r in (real[i] for i in chosen):
        x = load(default_folder(), r)
        assert len(x) / 16_000 == pytest.approx(r.seconds, abs=0.002) and np.abs(x).max() <= 1.0
        assert not r.digit or r.digit in "0123456789"
    assert all((default_folder() / r.file).is_file() for r in real)


@pytest.mark.slow
@pytest.mark.parametrize("font", FONTS)
def test_notes_sound_at_their_pitch_and_the_same_again(real: list[Recording], font: str):
    pytest.importorskip(
        "tinysoundfont", reason="NO SYNTHESISER HERE: `make real-sound` installs it"
    )
    for program in (0, 24, 40, 56, 73):
        first = fonts.play(font, program, [fonts.Note(69, 0.0, 1.0)], seconds=1.0)
        hz = pitch_track(first, 60, 1200).hz
        assert abs(1200 * np.log2(np.nanmedian(hz) / 440)) < 30
        assert len(first) == 16_000 and np.abs(first).max() == pytest.approx(fonts.PEAK)
        fonts.drums(font, [fonts.Note(38, 0.0, 0.1)], seconds=0.5)
        again = fonts.play(font, program, [fonts.Note(69, 0.0, 1.0)], seconds=1.0)
        assert np.array_equal(first, again)
