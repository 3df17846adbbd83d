"""A user's own recordings: what is read, what is refused and why, and what is held out."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import REAL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auscult.audio.io import AudioError, write_audio
from auscult.gym import render
from auscult.gym.base import DIGITS
from auscult.train.feed.manifest import (
    KNOWN_FEATURES,
    MOST_PROBLEMS,
    Row,
    fsdd_manifest,
    open_manifest,
    write_manifest,
)

FSDD = REAL / "fsdd"
real = pytest.mark.skipif(not FSDD.is_dir(), reason="real recordings are not beside the checkout")
SLOW = [HealthCheck.too_slow]  # the machine may be shared
NAMES = ("a.wav", "b.wav", "c.wav", "d.wav")


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * 16_000))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four short recordings."""
    place = tmp_path_factory.mktemp("own")
    for i, name in enumerate(NAMES):
        write_audio(place / name, noise(0.5, i))
    return place


def write(folder: Path, *objects: object) -> Path:
    """A manifest of objects (as JSON) and raw lines (as they are)."""
    path = folder / "data.jsonl"
    lines = (o if isinstance(o, str) else json.dumps(o) for o in objects)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def ask(audio: object = "a.wav", **more: object) -> dict[str, object]:
    return {"audio": audio, "question": "What is heard?", "answer": "noise"} | more


def refused(path: Path) -> str:
    with pytest.raises(ValueError) as error:
        open_manifest(path)
    return str(error.value)


def test_three_fields_are_enough_and_the_rest_has_defaults(folder):
    manifest = open_manifest(write(folder, ask()))
    row, item = manifest.rows[0], manifest.item(0)
    assert (row.audio, row.task, row.id, row.options) == (("a.wav",), "own", "1", ())
    assert row.split in ("train", "heldout") and manifest.indices(row.split) == (0,)
    assert (item.key, item.task, item.heard, item.inference) == ("manifest:1", "own", ("",), "")
    assert item.facts == {} and len(item.clips[0]) == 8_000


def test_an_item_says_everything_that_the_line_says(folder):
    line = ask(
        ["a.wav", "b.wav"], options=["noise", "tone"], task="hiss", features=["noise", "words"],
        caption=["I hear hiss.", "I hear more hiss."], transcript="psst", id="x", split="heldout",
        chain="Clip 1: I hear hiss. Clip 2: I hear more hiss. Both are noise.", start=0.1, end=0.3,
    )  # fmt: skip
    manifest = open_manifest(write(folder, line))
    item = manifest.item(0)
    assert (item.key, item.task, item.answer) == ("manifest:x", "hiss", "noise")
    assert (item.options, item.features) == (("noise", "tone"), ("noise", "words"))
    assert item.heard == ("I hear hiss.", "I hear more hiss.")
    assert render.chain(item) == line["chain"] and item.inference == "Both are noise."
    assert [len(clip) for clip in item.clips] == [3_200, 3_200]
    np.testing.assert_allclose(item.clips[1], noise(0.5, 1)[1_600:4_800], atol=1e-4)
    assert manifest.indices("heldout") == (0,) and manifest.indices("train") == ()


def test_a_transcript_stands_in_for_a_caption_and_one_text_for_all_recordings(folder):
    manifest = open_manifest(
        write(folder, ask(["a.wav", "b.wav"], transcript="seven", chain="So."))
    )
    item = manifest.item(0)
    assert item.heard == ("seven", "seven") and item.inference == "So."
    assert render.twin(item) == "Scene 1: seven Scene 2: seven"


def test_long_recordings_become_pieces_and_nothing_is_padded(tmp_path):
    write_audio(tmp_path / "long.flac", noise(51.5))
    manifest = open_manifest(write(tmp_path, ask("long.flac", caption="I hear noise.")))
    item = manifest.item(0)
    assert [len(clip) / 16_000 for clip in item.clips] == [25.0, 25.0, 1.5]
    assert item.heard == ("I hear noise.",) * 3


@pytest.mark.parametrize("cut", [{"start": 0.6}, {"end": 40.0}, {"start": 0.2, "end": 0.21}])
def test_a_cut_outside_the_recording_is_an_error_that_names_the_row(folder, cut):
    manifest = open_manifest(write(folder, ask(id="x7", **cut)))
    with pytest.raises(AudioError, match=r"row 'x7': a\.wav is 0\.50 s long.*give seconds within"):
        manifest.item(0)


def test_only_a_line_feed_ends_a_line_and_a_byte_order_mark_is_no_text(folder):
    path = write(
        folder, "", '{"audio": "a.wav", "question": "eins\u2028zwei", "answer": "ü"}\r', ""
    )
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    manifest = open_manifest(path)
    assert [(r.id, r.question, r.answer) for r in manifest.rows] == [("2", "eins\u2028zwei", "ü")]


GOLDEN = """{path}: 14 problems
  line 2: not JSON (Expecting ',' delimiter, column 19); {whole}
  line 3: unknown field 'anwser'; did you mean 'answer'?
  line 3: 'answer' is missing or empty; every row needs it
  line 4: 'question' is 7; expected a text in quotation marks
  line 4: 'start' is "1 s"; expected a number of seconds from 0 to 1800
  line 5: the answer 'maybe' is not among the options ['yes', 'no']; write it as there
  line 6: 'start' is 2 and 'end' is 1; start must come before end
  lines 6, 7: no audio file 'lost.wav'; paths start at the folder of the manifest
  line 8: unknown feature 'ptich'; did you mean 'pitch'?
  line 8: unknown split 'test'; expected one of: train, heldout
  line 8: the id 'one' is that of line 1; ids must differ
  line 9: the options ['4', 'four'] are not at least two, all different
  line 9: 'caption' has 2 texts for 1 recordings; give one for each
  line 10: expected an object in braces, got ["a.wav"]"""


def test_all_problems_are_listed_at_once_with_their_lines(folder):
    path = write(
        folder,
        ask(id="one"),
        '{"audio": "a.wav" "question": "?"}',
        {"audio": "a.wav", "question": "?", "anwser": "noise"},
        ask(question=7, start="1 s"),
        ask(answer="maybe", options=["yes", "no"]),
        ask("lost.wav", start=2, end=1),
        ask(["a.wav", "lost.wav"]),
        ask(id="one", features=["ptich"], split="test"),
        ask(options=["4", "four"], answer="4", caption=["x", "y"]),
        ["a.wav"],
    )
    whole = "expected one whole object on one line"
    assert refused(path) == GOLDEN.format(path=path, whole=whole)


def test_a_long_list_of_problems_is_cut_and_says_so(folder):
    text = refused(write(folder, *(ask(f"{i}.wav") for i in range(MOST_PROBLEMS + 5))))
    lines = text.splitlines()
    assert len(lines) == MOST_PROBLEMS + 2 and lines[-1] == "  and 5 more; mend these first"


def test_the_same_mistake_in_every_line_is_listed_once(folder):
    text = refused(write(folder, *(ask(volume=1) for _ in range(50))))
    assert "lines 1, 2, 3 and 47 more: unknown field 'volume'" in text and text.count("\n") == 1


@pytest.mark.parametrize("content", ["", " \n", "\ufeff"])
def test_an_empty_file_is_an_error(folder, content):
    text = refused(write(folder, content))
    assert "line 1: the file is empty; expected objects with audio, question, answer" in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"audio": "a.wav", "question": "?", "answer": "x", "end": 1e999}', "'end' is Infinity"),
        ('{"audio": "a.wav", "question": "?", "answer": "x", "end": NaN}', "'end' is NaN"),
        ('{"audio": "a.wav", "question": "?", "answer": "x", "end": true}', "'end' is true"),
        ('{"audio": "a.wav", "question": "?", "answer": "x", "end": 1%s}' % ("0" * 400), "'end'"),
        ('{"audio": "a\\u0000.wav", "question": "?", "answer": "x"}', "no audio file 'a\\x00.wav'"),
        ('{"audio": [], "question": "?", "answer": " "}', "'answer' is missing or empty"),
        ('{"audio": {"path": "a.wav"}, "question": "?", "answer": "x"}', "expected a text, or a"),
        ('{"audio": "a.wav", "question": "?", "answer": "x", "options": "x"}', "a list of texts"),
        ("[" * 100_000, "line 1: nested too deep"),
    ],
)  # fmt: skip
def test_strange_lines_get_a_plain_error(folder, line, said):
    assert said in refused(write(folder, line))


def test_no_file_no_text_and_an_unknown_split_are_errors(folder):
    assert "there is no file" in refused(folder / "none.jsonl")
    path = write(folder, ask())
    path.write_bytes(path.read_bytes() + b"\xff\xfe\n")
    assert "line 2: not UTF-8 text" in refused(path)
    with pytest.raises(ValueError, match="unknown split 'test'; expected one of train, heldout"):
        open_manifest(write(folder, ask())).indices("test")


texts = st.text(min_size=1, max_size=12).filter(str.strip)
audios = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(tuple)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, object]:
    audio, answer = draw(audios), draw(texts)
    each = st.sampled_from((0, 1, len(audio))).flatmap(
        lambda n: st.lists(texts, min_size=n, max_size=n).map(tuple)
    )
    start, length = draw(st.none() | st.floats(0, 100)), draw(st.none() | st.floats(1, 100))
    return {
        "audio": audio, "question": draw(texts), "answer": answer, "task": draw(texts),
        "options": draw(st.sampled_from(((), (answer, f"{answer} not")))),
        "chain": draw(texts | st.just("")), "id": draw(texts), "split": "train",
        "features": draw(st.lists(st.sampled_from(KNOWN_FEATURES), max_size=3).map(tuple)),
        "transcript": draw(each), "caption": draw(each), "start": start,
        "end": None if length is None else (start or 0.0) + length,
    }  # fmt: skip


manifests = st.lists(rows(), min_size=1, max_size=4, unique_by=lambda row: row["id"])


@settings(max_examples=30, deadline=None, suppress_health_check=SLOW)
@given(manifests)
def test_what_is_written_is_read_again(folder, made):
    made = [Row(**values) for values in made]
    read = open_manifest(write_manifest(folder / "round.jsonl", made))
    assert read.rows == tuple(made)


@settings(max_examples=6, deadline=None, suppress_health_check=SLOW)
@given(manifests)
def test_parquet_says_the_same_as_jsonl(folder, made):
    pytest.importorskip("duckdb", reason="the extra 'traces' is not installed")
    made = [Row(**values) for values in made]
    table = open_manifest(write_manifest(folder / "it's.parquet", made))
    assert table.rows == tuple(made)
    assert table.digest == open_manifest(write_manifest(folder / "round.jsonl", made)).digest


def test_parquet_of_other_programs_is_read_and_its_problems_have_row_numbers(folder):
    duckdb = pytest.importorskip("duckdb", reason="the extra 'traces' is not installed")
    path = folder / "other.parquet"

    def make(columns: str) -> Path:
        sql = f"SELECT 'a.wav' AS audio, 'How many?' AS question, {columns} FROM range(2)"
        duckdb.sql(f"COPY ({sql}) TO '{path}' (FORMAT parquet)")
        return path

    manifest = open_manifest(make("'two' AS answer, 0.1 AS start, NULL::VARCHAR AS chain"))
    assert [(r.id, r.start, r.chain) for r in manifest.rows] == [("1", 0.1, ""), ("2", 0.1, "")]
    text = refused(make("2 AS answer, 1 AS sart"))
    assert "rows 1, 2: 'answer' is 2; expected a text in quotation marks" in text
    assert "rows 1, 2: unknown field 'sart'; did you mean 'start'?" in text
    path.write_bytes(b"PAR1 and then nothing")
    assert "is not a Parquet file that can be read" in refused(path)


def test_parquet_without_duckdb_names_the_extra(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    (folder / "any.parquet").write_bytes(b"PAR1")
    assert "pip install 'auscult[traces]'" in refused(folder / "any.parquet")


def test_the_digest_follows_the_rows_and_the_recordings(tmp_path):
    write_audio(tmp_path / "a.wav", noise(0.5))
    first = open_manifest(write(tmp_path, ask())).digest
    assert open_manifest(write(tmp_path, ask(), "")).digest == first
    assert open_manifest(write(tmp_path, ask(answer="hiss"))).digest != first
    write_audio(tmp_path / "a.wav", noise(0.6))
    assert open_manifest(write(tmp_path, ask())).digest != first


def sides(manifest) -> dict[Path, set[str]]:
    found: dict[Path, set[str]] = {}
    for row in manifest.rows:
        for name in row.audio:
            found.setdefault((manifest.path.parent / name).resolve(), set()).add(row.split)
    return found


@settings(max_examples=30, deadline=None, suppress_health_check=SLOW)
@given(
    st.lists(st.lists(st.integers(0, 29), min_size=1, max_size=3), min_size=1, max_size=30),
    st.data(),
)
def test_no_recording_stands_on_both_sides(many, groups, data):
    lines = [ask([data.draw(st.sampled_from(("", "./", "../many/"))) + f"{i}.wav" for i in group])
             for group in groups]  # fmt: skip
    manifest = open_manifest(write(many, *lines))
    assert all(len(found) == 1 for found in sides(manifest).values())
    shuffled = open_manifest(write(many, *lines[::-1]))
    if not any("/" in name for line in lines for name in line["audio"]):
        assert [r.split for r in shuffled.rows[::-1]] == [r.split for r in manifest.rows]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A folder of many names, one sound."""
    place = tmp_path_factory.mktemp("root") / "many"
    place.mkdir()
    write_audio(place / "0.wav", noise(0.1))
    for i in range(1, 1000):
        (place / f"{i}.wav").write_bytes(b"not decoded when a manifest is opened")
    return place


def test_one_recording_of_ten_is_held_out_and_always_the_same_one(many, tmp_path):
    manifest = open_manifest(write(many, *(ask(f"{i}.wav") for i in range(1000))))
    held = manifest.indices("heldout")
    assert 70 <= len(held) <= 130
    assert sorted(held + manifest.indices("train")) == list(range(1000))
    for i in held[:3]:  # alone, elsewhere, with another question: the same side
        (tmp_path / f"{i}.wav").write_bytes(b"x")
        other = open_manifest(write(tmp_path, ask(f"./{i}.wav", question="Why?", start=0.5)))
        assert other.rows[0].split == "heldout"


def test_a_side_given_once_holds_for_all_that_share_the_recording(folder):
    rows = [ask("a.wav"), ask(["a.wav", "b.wav"]), ask("b.wav", split="heldout"), ask("c.wav")]
    got = open_manifest(write(folder, *rows)).rows
    assert [row.split for row in got[:3]] == ["heldout"] * 3


def test_sides_that_share_a_recording_are_refused(folder):
    rows = [ask("a.wav", split="train"), ask(["a.wav", "b.wav"]), ask("b.wav", split="heldout")]
    assert (
        "line 3: the split is 'heldout', but line 1 is 'train' and shares a recording with it, "
        "directly or through others; give both the same"
    ) in refused(write(folder, *rows))


def check_digit(row: Row) -> None:
    """The answer and the side follow from the names of the files."""
    known = [Path(name).stem.split("_") for name in row.audio]
    digits, speakers = [int(k[0]) for k in known], [k[1] for k in known]
    truth = {
        "fsdd_digit": lambda: str(digits[0]),
        "fsdd_larger": lambda: "first" if digits[0] > digits[1] else "second",
        "fsdd_speaker": lambda: "yes" if speakers[0] == speakers[1] else "no",
        "fsdd_repeat": lambda: "yes" if digits[0] == digits[1] else "no",
    }[row.task]()
    assert row.answer == truth and (not row.options or truth in row.options)
    held = [int(k[-1]) < 5 for k in known]
    assert len(set(row.audio)) == len(row.audio) and set(held) == {row.split == "heldout"}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Names only, in the layout of the dataset, some of them a folder deeper."""
    place = tmp_path_factory.mktemp("digits")
    (place / "deep").mkdir()
    for digit in range(10):
        for speaker in ("ann", "bob_b"):
            for take in (0, 3, 7, 12):
                name = f"{'deep/' if take % 2 else ''}{digit}_{speaker}_{take}.wav"
                (place / name).write_bytes(b"x")
    (place / "noise.wav").write_bytes(b"x")
    return place


def test_questions_about_digits_are_true_balanced_and_repeatable(digits, tmp_path):
    made = fsdd_manifest(digits, tmp_path / "a" / "digits.jsonl", 600, 3)
    assert len(made.indices("heldout")) == 60 and len(made.rows) == 600
    assert [check_digit(row) for row in made.rows]
    assert all(len(found) == 1 for found in sides(made).values())
    for task, most in {"digit": 0.25, "larger": 0.65, "speaker": 0.65, "repeat": 0.65}.items():
        answers = [row.answer for row in made.rows if row.task == f"fsdd_{task}"]
        assert len(answers) > 60
        assert max(answers.count(a) for a in set(answers)) < most * len(answers), task
    with_options = [bool(r.options) for r in made.rows if r.task == "fsdd_digit"]
    assert 0.2 < np.mean(with_options) < 0.5
    assert fsdd_manifest(digits, tmp_path / "a" / "c.jsonl", 600, 3).digest == made.digest
    assert fsdd_manifest(digits, tmp_path / "a" / "b.jsonl", 600, 4).rows != made.rows


def test_too_few_digits_are_an_error_that_says_what_is_needed(tmp_path):
    with pytest.raises(ValueError, match=r"holds no file named \{digit\}_\{speaker\}_\{take\}"):
        fsdd_manifest(tmp_path, tmp_path / "x.jsonl", 5, 0)
    (tmp_path / "3_ann_7.wav").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"1 recordings do not suffice.*give more takes"):
        fsdd_manifest(tmp_path, tmp_path / "x.jsonl", 5, 0)
    assert not (tmp_path / "x.jsonl").exists()


@real
def test_real_digits_are_heard_and_thought_of_in_the_words_of_the_gym(tmp_path):
    made = fsdd_manifest(FSDD, tmp_path / "digits.jsonl", 120, 0)
    assert len({row.task for row in made.rows}) == 4
    for index, row in enumerate(made.rows):
        check_digit(row)
        item = made.item(index)
        assert len(item.clips) == len(row.audio) == (1 if row.task == "fsdd_digit" else 2)
        assert all(0.05 < len(clip) / 16_000 < 5 for clip in item.clips)
        assert render.chain(item) == row.chain and item.inference
        if row.task == "fsdd_digit":
            word = DIGITS[int(row.answer)]
            assert row.chain == f'I hear the words "{word}". That is {row.answer}.'
