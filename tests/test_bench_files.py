"""Tables of sound stay on the disk; the protocols of a run share one list of questions."""

import gc
import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import fixture_mmsu
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixture_sounds import RATE, wav_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from auscult.bench import files, suites
from auscult.bench.files import Kept, MissingData, encoded_sound, parquet_rows
from auscult.bench.question import Sound


def noise(seed: int, samples: int = 400) -> np.ndarray:
    """Noise that no codec makes smaller, exact in 16 bits."""
    drawn = np.random.default_rng(seed).integers(-(2**14), 2**14, samples)
    return (drawn / 2**15).astype(np.float32)


def table(path: Path, count: int, *, group: int, samples: int = 400) -> list[np.ndarray]:
    """A file whose row i holds the i-th noise, in groups of `group` rows."""
    sounds = [noise(i, samples) for i in range(count)]
    rows = [{"id": i, "audio": {"bytes": wav_bytes(x), "path": f"{i}.wav"}}
            for i, x in enumerate(sounds)]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=group)
    return sounds


def loaded(*paths: Path) -> list[Sound]:
    """All sounds of the column."""
    return [encoded_sound(r["audio"], str(r["id"])) for r in parquet_rows(paths)]


def same(sound: Sound, samples: np.ndarray) -> bool:
    """Within half a step of 16 bits."""
    return bool(np.allclose(sound.read(), samples, rtol=0, atol=2**-16))


def resident() -> int:
    """Bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("group", [16, 64])
def test_loading_forty_megabytes_of_sound_keeps_less_than_two(tmp_path: Path, group: int):
    size = 40_000_000 // 64 // 2
    table(tmp_path / "a.parquet", 64, group=group, samples=size)
    assert (tmp_path / "a.parquet").stat().st_size > 39_000_000
    loaded(tmp_path / "a.parquet")  # what Arrow needs once is not counted
    gc.collect()
    before, arrow = resident(), pa.total_allocated_bytes()
    tracemalloc.start()
    sounds = loaded(tmp_path / "a.parquet")
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 2_000_000
    assert pa.total_allocated_bytes() - arrow < 2_000_000
    assert resident() - before < 10_000_000
    assert [same(sounds[i], noise(i, size)) for i in (63, 0, 17)] == [True] * 3


def test_sounds_are_right_in_order_backwards_and_at_random(tmp_path: Path):
    expected = table(tmp_path / "a.parquet", 50, group=20)
    sounds = loaded(tmp_path / "a.parquet")
    orders = [range(50), range(49, -1, -1), np.random.default_rng(3).permutation(50)]
    for order in orders:
        assert all(same(sounds[i], expected[i]) for i in order)


def test_sounds_are_right_from_many_threads(tmp_path: Path):
    expected = table(tmp_path / "a.parquet", 60, group=20)
    sounds = loaded(tmp_path / "a.parquet")
    order = np.random.default_rng(5).permutation(np.arange(240) % 60)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda i: same(sounds[i], expected[i]), order))


def test_files_stay_apart_and_two_groups_at_most_are_open(tmp_path: Path):
    first = table(tmp_path / "a.parquet", 6, group=2)
    second = table(tmp_path / "b.parquet", 9, group=3)[6:]
    sounds = loaded(tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert len(sounds) == 15
    assert all(same(s, x) for s, x in zip(sounds[:6], first, strict=True))
    assert all(same(s, x) for s, x in zip(sounds[12:], second, strict=True))
    assert len(files._readers) <= 2


def test_in_order_a_group_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    table(tmp_path / "a.parquet", 100, group=100)
    sounds = loaded(tmp_path / "a.parquet")
    starts: list[object] = []
    rewind = files._Reader._rewind
    monkeypatch.setattr(files._Reader, "_rewind", lambda r: (starts.append(r), rewind(r)))
    for sound in sounds:
        sound.read()
    assert len(starts) == 1


def restored(cell: object) -> object:
    """A cell with its bytes fetched."""
    if isinstance(cell, Kept):
        return cell.read()
    if isinstance(cell, dict):
        return {k: restored(v) for k, v in cell.items()}
    return [restored(v) for v in cell] if isinstance(cell, list) else cell


BYTES = st.none() | st.binary(max_size=9)
ROW = st.fixed_dictionaries({
    "bare": BYTES,
    "said": st.text(max_size=3) | st.none(),
    "audio": st.none() | st.fixed_dictionaries({"bytes": BYTES, "path": st.text(max_size=3)}),
    "turns": st.none() | st.lists(
        st.fixed_dictionaries({"role": st.just("user"), "audio": BYTES}), max_size=3),
})  # fmt: skip
SCHEMA = pa.schema({
    "bare": pa.binary(),
    "said": pa.string(),
    "audio": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    "turns": pa.list_(pa.struct({"role": pa.string(), "audio": pa.large_binary()})),
})  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=40), group=st.integers(1, 40))
def test_every_row_of_any_shape_can_be_restored(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict], group: int
):
    path = tmp_path_factory.mktemp("rows") / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path, row_group_size=group)
    found = list(parquet_rows([path]))
    assert not [c for row in found for c in row.values() if isinstance(c, bytes) and c]
    assert restored(found) == rows


@pytest.mark.parametrize(
    "cell", [None, {"bytes": None, "path": "x.wav"}, {"bytes": b"", "path": "x.wav"}]
)
def test_a_row_without_sound_is_an_error_when_it_is_loaded(tmp_path: Path, cell: dict | None):
    whole = {"bytes": wav_bytes(noise(0)), "path": "0.wav"}
    schema = pa.schema({"id": pa.int64(), "audio": SCHEMA.field("audio").type})
    rows = [{"id": 0, "audio": whole}, {"id": 1, "audio": cell}]
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="1: expected the bytes of a recording; got"):
        loaded(tmp_path / "a.parquet")


def test_the_working_directory_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    expected = table(tmp_path / "a.parquet", 1, group=1)
    monkeypatch.chdir(tmp_path)
    sounds = loaded(Path("a.parquet"))
    monkeypatch.chdir("/")
    assert same(sounds[0], expected[0])


def test_sounds_of_a_changed_or_absent_file_are_an_error(tmp_path: Path):
    path = tmp_path / "a.parquet"
    table(path, 4, group=4)
    sounds = loaded(path)
    sounds[0].read()  # the file is open now
    table(path, 5, group=5)
    with pytest.raises(ValueError, match=r"a\.parquet has changed since its questions"):
        sounds[1].read()
    assert len(loaded(path)[4].read()) == 400
    path.unlink()
    with pytest.raises(MissingData, match=r"a\.parquet is missing"):
        sounds[1].read()


def counted(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[object, list[Path]]:
    """A suite that notes how often it is loaded."""
    calls: list[Path] = []
    suite = suites.suite_named(name)

    def load(folder: Path) -> list:
        calls.append(folder)
        return suite.load(folder)

    monkeypatch.setattr(suites, "_loaded", {})
    return replace(suite, load=load), calls


def test_questions_are_loaded_once_and_their_list_is_the_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    suite, calls = counted("mmsu", monkeypatch)
    fixture_mmsu.shards(tmp_path / "data")
    first = suites.questions(suite, tmp_path / "data")
    first.pop()
    second = suites.questions(suite, tmp_path / "data")
    assert len(calls) == 1
    assert len(second) == 4
    assert second[0] is first[0]


def test_another_folder_or_suite_has_its_own_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    suite, calls = counted("mmsu", monkeypatch)
    for name in ("a", "b"):
        fixture_mmsu.shards(tmp_path / name)
        suites.questions(suite, tmp_path / name)
    suites.questions(replace(suite, name="other"), tmp_path / "a")
    assert len(calls) == 3


def test_a_changed_or_added_file_is_noticed_and_the_new_sound_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    suite, calls = counted("mmsu", monkeypatch)
    fixture_mmsu.shards(tmp_path / "data")
    (shard,) = (tmp_path / "data").glob("*.parquet")
    old = suites.questions(suite, tmp_path / "data")[0].sounds[0].read()
    rows = pq.read_table(shard).to_pylist()
    changed = {"bytes": wav_bytes(noise(9, len(old)), RATE), "path": "x.wav"}
    pq.write_table(pa.Table.from_pylist([rows[0] | {"audio": changed}]), shard)
    found = suites.questions(suite, tmp_path / "data")
    assert len(found) == 1
    assert same(found[0].sounds[0], noise(9, len(old)))
    os.utime(shard, ns=(1, 1))  # an older time is a change too
    suites.questions(suite, tmp_path / "data")
    (tmp_path / "data" / "more").mkdir()
    suites.questions(suite, tmp_path / "data")
    (tmp_path / "data" / "more" / "note").write_text("x")
    suites.questions(suite, tmp_path / "data")
    assert len(calls) == 5


def test_missing_data_is_looked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    suite, _ = counted("mmsu", monkeypatch)
    (tmp_path / "data").mkdir()
    with pytest.raises(ValueError, match="Fetch mmsu with"):
        suites.questions(suite, tmp_path / "data")
    (tmp_path / "data").rmdir()
    fixture_mmsu.shards(tmp_path / "data")
    assert len(suites.questions(suite, tmp_path / "data")) == 4


def test_a_copy_with_too_many_files_is_loaded_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    suite, calls = counted("mmsu", monkeypatch)
    monkeypatch.setattr(suites, "_STAMPED", 3)
    fixture_mmsu.lines(tmp_path / "data")
    for _ in range(2):
        suites.questions(suite, tmp_path / "data")
    assert len(calls) == 2
