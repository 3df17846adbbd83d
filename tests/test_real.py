"""Real sound: manifest, containers, tables, readers, decoding."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fixture_real import cat, deb, encoded, rcc, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from auscult.audio.synth import resample
from auscult.real.packages import Package, Places, Unavailable, fetch
from auscult.real.read import containers, sounds, speech, texts
from auscult.real.read.decode import LeftOut, decode, write_flac
from auscult.real.recording import (
    Clip,
    RealSoundError,
    Recording,
    Skip,
    read_recordings,
    write_recordings,
)
from auscult.real.sources import of_name

RECORDING = Recording(
    key="gcin-5/ㄅㄚ1/5", file="clips/gcin-5/ㄅㄚ1/5.flac", source="gcin-5", split="train",
    kind="speech", seconds=0.4, licence="CC-BY-3.0", text="ㄅㄚ1", md5="a",
)  # fmt: skip

names = st.text(st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=("Cs",)),
                min_size=1, max_size=8).filter(lambda s: s not in (".", ".."))  # fmt: skip
trees = st.dictionaries(st.tuples(st.sampled_from(("a", "b/c", "b/d")), names).map("/".join),
                        st.binary(max_size=60), min_size=1, max_size=6)  # fmt: skip


def test_a_manifest_that_is_written_reads_the_same(tmp_path: Path):
    rows = [RECORDING, replace(RECORDING, key="b", kind="note", midi=60, exact=True, digit="5")]
    write_recordings(tmp_path, rows)
    assert read_recordings(tmp_path) == rows


def test_a_missing_manifest_names_what_makes_it(tmp_path: Path):
    with pytest.raises(RealSoundError, match="make real-sound"):
        read_recordings(tmp_path)


@pytest.mark.parametrize("line", ['{"key": "a"}', '{"key": ', '{"nothing": 1}'])
def test_a_damaged_line_is_named_by_its_number(tmp_path: Path, line: str):
    path = write_recordings(tmp_path, [RECORDING])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(RealSoundError, match=r"line 2 is not a recording.*make real-sound"):
        read_recordings(tmp_path)


def test_a_line_of_another_split_is_refused(tmp_path: Path):
    path = write_recordings(tmp_path, [RECORDING])
    path.write_text(path.read_text().replace('"train"', '"test"'))
    with pytest.raises(RealSoundError, match="split 'test'"):
        read_recordings(tmp_path)


# --- containers


@settings(max_examples=40)
@given(files=trees, packed=st.booleans(), version=st.sampled_from((1, 2, 3)))
def test_qt_resources_come_back_as_they_were_packed(
    files: dict[str, bytes], packed: bool, version: int
):
    found = containers.read_rcc(rcc(files, packed=packed, version=version), "x.rcc")
    assert found == {f"/{name}": data for name, data in files.items()}


@settings(max_examples=100)
@given(cut=st.integers(0, 200), flip=st.integers(0, 199), value=st.integers(0, 255))
def test_damaged_resources_are_an_error_of_ours_or_bytes(cut: int, flip: int, value: int):
    whole = bytearray(rcc({"a/b.ogg": b"sound" * 9, "c.txt": b"text"}, packed=True))
    whole[flip % len(whole)] = value  # also in sizes and counts
    try:
        found = containers.read_rcc(bytes(whole[: max(len(whole) - cut, 0)]), "x.rcc")
    except RealSoundError as error:
        assert "x.rcc" in str(error)
    else:
        assert all(isinstance(data, bytes) for data in found.values())


def test_a_sound_catalogue_gives_titles_and_sounds_in_order():
    wavs = [encoded(tone(hz)) for hz in (300.0, 500.0)]
    made = cat([('"Cow". License: CC0.', wavs[0]), ('"Wind".', wavs[1])])
    found = containers.read_cat(made, "x.cat")
    assert found == [('"Cow". License: CC0.', wavs[0]), ('"Wind".', wavs[1])]
    for broken in (made[:-60], made[:3], made[:20]):
        with pytest.raises(RealSoundError, match=r"x\.cat"):
            containers.read_cat(broken, "x.cat")


def test_a_debian_package_unpacks_what_is_wanted_and_nothing_outside(tmp_path: Path):
    path = tmp_path / "a.deb"
    path.write_bytes(deb({"./usr/a.ogg": b"1", "./usr/b.png": b"2"}))
    assert containers.unpack_deb(path, tmp_path / "out", lambda n: n.endswith(".ogg")) == 1
    assert [p.name for p in (tmp_path / "out").rglob("*.*")] == ["a.ogg"]
    path.write_bytes(deb({"../outside.ogg": b"1"}))
    with pytest.raises(RealSoundError, match="damaged"):
        containers.unpack_deb(path, tmp_path / "out", lambda n: True)
    assert not (tmp_path / "outside.ogg").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\3\4", "begins|begin with"),
        (deb({"a": b"x" * 5000})[:-20], "cut off"),
        (deb({"a": b"x"}, ending="zst"), "packages.debian.org"),
        (b"!<arch>\n", "no data.tar"),
    ],
)
def test_what_is_no_whole_package_says_so(tmp_path: Path, data: bytes, message: str):
    path = tmp_path / "a.deb"
    path.write_bytes(data)
    with pytest.raises(RealSoundError, match=message):
        containers.unpack_deb(path, tmp_path / "out", lambda n: True)


# --- tables


def test_lua_dialogs_give_role_text_and_english(tmp_path: Path):
    path = tmp_path / "dialogs_nl.lua"
    path.write_text(
        'dialogId("a", "font_small", "He said \\"no\\".")\ndialogStr("Hij zei \\"nee\\".")\n\n'
        '-- rest\ndialogId("b", "font_big", "Never.")\n'
    )
    found = texts.lua_dialogs(path)
    assert found["a"] == ("font_small", 'Hij zei "nee".', 'He said "no".')
    assert found["b"].text == ""
    assert texts.lua_dialogs(tmp_path / "none.lua") == {}


def test_tables_in_xml_are_read_with_a_bare_ampersand_and_refused_when_cut(tmp_path: Path):
    path = tmp_path / "x.soundtheme"
    path.write_text(
        '<l code="en">\n<label>a & b &amp; c</label><sound name="ear" file="en/e.ogg"/></l>'
    )
    assert texts.xml_sounds(path) == [("ear", "en/e.ogg")]
    path.write_text("<l><sound")
    with pytest.raises(RealSoundError, match="soundtheme"):
        texts.xml_sounds(path)


def test_prompts_keep_the_first_text_and_lose_remarks(tmp_path: Path):
    path = tmp_path / "core.txt.gz"
    path.write_bytes(gzip.compress("﻿; Core\n\nd/0: cero\nd/0: diez\nat: at [@]\n".encode()))
    assert texts.prompts(path) == {"d/0": "cero", "at": "at [@]"}
    assert texts.spoken("at [@]") == "at"
    assert texts.spoken("[a beep tone]") == texts.spoken("<beep>") == texts.spoken("(beep)") == ""
    assert texts.spoken("... letters of the name.") == "letters of the name."


def test_remarks_are_no_speech_and_doubtful_words_are_not_exact():
    def clip(language: str) -> Clip:
        return Clip(name="x", sound=b"", kind="speech", speaker="v", language=language)

    assert speech._prompt(clip("en"), "One.") == replace(clip("en"), text="One.", exact=True)
    doubtful = speech._prompt(clip("it"), "Il [suo] messaggio.")
    assert isinstance(doubtful, Clip) and not doubtful.exact
    noted = speech._prompt(clip("en"), 'IAX (note: does not say "2")')
    assert isinstance(noted, Clip) and (noted.text, noted.exact) == ("IAX", False)
    beep = speech._prompt(clip("en"), "[this is a simple beep tone]")
    assert isinstance(beep, Clip)
    assert (beep.kind, beep.label, beep.speaker, beep.language) == ("effect", "beep", "", "")
    assert isinstance(speech._prompt(clip("it"), "[toni]"), Skip)


def test_sphinx_transcripts_and_stamps(tmp_path: Path):
    (tmp_path / "t").write_text("<s> ten of clubs  </s> (001)\nnothing\n")
    assert texts.transcriptions(tmp_path / "t") == {"001": "ten of clubs"}
    (tmp_path / "s.txt").write_text("A crow.\nfr.utf8=Un corbeau.\npt_BR.utf8=Um corvo.\n")
    assert texts.stamp_texts(tmp_path / "s.txt") == {
        "en": "A crow.", "fr": "Un corbeau.", "pt_BR": "Um corvo.",
    }  # fmt: skip


# --- readers


def put(base: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def clips_of(source: str, folder: Path) -> dict[str, Clip]:
    return {c.name: c for c in of_name(source).read(folder) if isinstance(c, Clip)}


def test_two_roles_of_the_game_are_voices_and_shared_jokes_find_their_text(tmp_path: Path):
    data = "usr/share/games/fillets-ng"
    put(tmp_path / "fillets-ng-data" / data / "script", {
        "keys/dialogs_cs.lua": b'dialogId("a", "font_small", "Hi.")\ndialogStr("Ahoj.")',
        "share/bore_dialogs_cs.lua": b'dialogId("j", "font_viking1", "Ho.")\ndialogStr("Ha.")',
    })  # fmt: skip
    put(tmp_path / "fillets-ng-data-cs" / data / "sound", {
        "keys/cs/a.ogg": b"", "share/borejokes/cs/j.ogg": b"", "keys/cs/none.ogg": b"",
    })  # fmt: skip
    found = clips_of("fillets-cs", tmp_path)
    a, j, none = found["keys/cs/a"], found["share/borejokes/cs/j"], found["keys/cs/none"]
    assert (a.text, a.exact, a.speaker) == ("Ahoj.", True, "fillets-cs-small")
    assert (j.text, j.speaker) == ("Ha.", "")
    assert (none.text, none.exact, none.speaker) == ("", False, "")


def test_names_and_digits_of_stamps(tmp_path: Path):
    stamps = tmp_path / "tuxpaint-stamps-default/usr/share/tuxpaint/stamps"
    put(stamps, {
        "animals/crow.txt": b"A crow.\nfr.utf8=Un corbeau.\n",
        "animals/ram.txt": b"A ram.\nfr.utf8=Un mouton (un oiseau).\n",
        "symbols/math/5.txt": "Five.\nfr.utf8=Cinq.\nzh_TW.utf8=五\n".encode(),
        **dict.fromkeys(("animals/crow_desc.ogg", "animals/crow_desc_fr.ogg", "animals/crow.ogg",
                         "symbols/math/5_desc_fr.ogg", "symbols/math/5_fr.ogg",
                         "animals/ram_desc_fr.ogg", "symbols/math/5.ogg",
                         "symbols/math/5_zh_tw.ogg", "space/apollo_lander.ogg"), b""),
    })  # fmt: skip
    english, french = clips_of("tuxpaint-en", tmp_path), clips_of("tuxpaint-fr", tmp_path)
    assert [(c.text, c.exact) for c in english.values()] == [("crow", True)]
    assert french["animals/crow_desc_fr"].text == "Un corbeau."
    assert (french["symbols/math/5_desc_fr"].digit, len(french)) == ("5", 3)
    assert french["animals/crow_desc_fr"].exact and not french["animals/ram_desc_fr"].exact
    symbols = clips_of("tuxpaint-symbols", tmp_path)
    assert {n.split("/")[-1]: (c.text, c.language, c.digit) for n, c in symbols.items()} == {
        "5": ("Five", "en", "5"), "5_fr": ("Cinq", "fr", "5"), "5_zh_tw": ("五", "zh", "5"),
    }  # fmt: skip
    assert list(of_name("tuxpaint-effects").read(tmp_path))[1:] == [
        Skip("space/apollo_lander", "also in a held-out source")
    ]
    assert list(clips_of("tuxpaint-effects", tmp_path)) == ["animals/crow"]


def test_sung_notes_named_an_octave_high_are_corrected(tmp_path: Path):
    put(tmp_path / "vocobox/mono", dict.fromkeys(("A3.wav", "G#2-3.wav", "D2-ko.wav"), b""))
    put(tmp_path / "vocobox/stereo", {"A3.wav": b""})
    found = list(of_name("vocobox").read(tmp_path))
    notes = {c.name: (c.label, c.midi) for c in found if isinstance(c, Clip)}
    assert notes == {"mono/A3": ("A2", 45), "mono/G#2-3": ("G#2", 44)}
    assert [s.name for s in found if isinstance(s, Skip)] == ["mono/D2-ko"]
    assert sounds.note_midi("C4") == 60 and sounds.note_midi("A4") == 69
    with pytest.raises(ValueError, match="no note"):
        sounds.note_midi("H4")


def test_a_damaged_resource_file_does_not_stop_the_others(tmp_path: Path):
    folder = tmp_path / "gcompris-qt-data/usr/share/gcompris-qt/rcc"
    name = "gcompris/src/activities/explore_farm_animals/resource/animals/cow.ogg"
    put(folder, {"a.rcc": b"qresx", "b.rcc": rcc({name: b"moo", "c.svg": b""}, packed=True)})
    skip, cow = of_name("gcompris").read(tmp_path)
    assert isinstance(skip, Skip) and skip.name == "a.rcc"
    assert isinstance(cow, Clip)
    assert (cow.name, cow.label, cow.sound) == ("explore_farm_animals/animals/cow", "cow", b"moo")


def test_only_three_speakers_of_the_digits_are_ever_copied(tmp_path: Path):
    given = tmp_path / "recordings"
    put(given, dict.fromkeys(("5_theo_0.wav", "5_jackson_0.wav", "5_lucas_1.wav"), b"x"))
    places = Places(cache=tmp_path / "cache", fsdd=given)
    folder = fetch(of_name("fsdd").packages[0], places)
    assert [p.name for p in folder.iterdir()] == ["5_jackson_0.wav"]
    put(folder, {"5_theo_1.wav": b"x"})  # even where it got in by another way
    assert [c.speaker for c in clips_of("fsdd", folder.parent).values()] == ["fsdd-jackson"]
    with pytest.raises(Unavailable, match="--fsdd FOLDER"):
        fetch(Package("folder", "fsdd", "fsdd"), Places(cache=tmp_path / "other"))


# --- decoding


@pytest.mark.parametrize(
    ("sound", "why"),
    [
        (encoded(tone(seconds=0.1)), "shorter than 0.15 s"),
        (encoded(tone(seconds=25.1)), "longer than 25 s"),
        (encoded(tone(peak=0.0005)), "silent"),
        (b"this is no sound", "cannot be decoded"),
        (b"", "cannot be decoded"),
        (encoded(tone())[:30], "cannot be decoded"),
    ],
)
def test_clips_that_are_not_kept_say_why(sound: bytes, why: str):
    with pytest.raises(LeftOut) as caught:
        decode(sound)
    assert str(caught.value) == why


def test_the_digest_is_that_of_the_samples_not_of_the_file():
    wav, flac = decode(encoded(tone())), decode(encoded(tone(), "FLAC"))
    assert wav.md5 == flac.md5 != decode(encoded(tone(441.0))).md5
    assert decode(encoded(tone(), rate=8000)).md5 != wav.md5


def test_a_constant_offset_is_taken_off_and_a_lopsided_stroke_is_left():
    rest = np.concatenate([np.zeros(2000), tone(seconds=0.2), np.zeros(2000)])
    moved = decode(encoded(rest * 0.8 + 0.1)).samples
    assert np.abs(moved[:1000]).max() < 1e-3 and np.abs(moved - 0.8 * rest).max() < 1e-3
    stroke = np.concatenate([np.exp(-np.arange(2000) / 200), np.zeros(4000)])
    assert np.abs(decode(encoded(stroke)).samples - stroke).max() < 1e-3
    with pytest.raises(LeftOut, match="silent"):
        decode(encoded(np.full(8000, 0.3)))


def test_g722_and_gsm_are_decoded_to_their_length(tmp_path: Path):
    pytest.importorskip("av")
    assert decode(bytes(range(256)) * 16, "g722").seconds == pytest.approx(4096 / 8000, abs=0.02)
    raw = tmp_path / "x.gsm"
    soundfile.write(raw, tone(300.0, 1.0, rate=8000), 8000, format="RAW", subtype="GSM610")
    found = decode(raw, "gsm")
    assert (found.rate, found.seconds) == (8000, pytest.approx(1.0, abs=0.03))
    assert np.abs(found.samples).max() == pytest.approx(0.5, abs=0.1)


def test_what_is_written_keeps_its_level_and_never_clips(tmp_path: Path):
    path = tmp_path / "a" / "b.flac"
    seconds = write_flac(path, decode(encoded(tone(peak=0.25, rate=44_100), rate=44_100)))
    x, rate = soundfile.read(path)
    assert (rate, x.ndim, len(x) / rate) == (16_000, 1, pytest.approx(seconds))
    assert np.abs(x).max() == pytest.approx(0.25, abs=0.01)
    square = np.sign(tone(700.0, rate=44_100))  # band-limited, it overshoots
    write_flac(path, decode(encoded(square, rate=44_100)))
    x, _ = soundfile.read(path)
    whole = resample(decode(encoded(square, rate=44_100)).samples, 44_100)
    assert np.abs(whole).max() > 1.05 and np.abs(x).max() <= 32767 / 32768
    assert np.allclose(x, whole / np.abs(whole).max(), atol=1e-4)
    assert [p.name for p in tmp_path.rglob("*.part")] == []
