"""The rules of the house, checked: sizes, one-way imports, documents that tell the truth."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "auscult"
FILES = sorted(SOURCE.rglob("*.py")) + sorted((ROOT / "tests").glob("*.py"))
FILES += sorted((ROOT / "benchmarks").glob("*.py"))

# Each package may import those to its left; the files beside them may import all.
ORDER = (
    "types", "files", "faults", "stats", "work", "audio", "real", "gym", "bench", "model", "engine",
    "verify", "train", "ear", "evaluate", "serve",
)  # fmt: skip
TOP = (
    "ask", "listen", "demo", "plot", "nano", "recipe", "recipe_commands", "plan", "ablate", "cli",
    "__main__", "__init__",
)  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_files_and_functions_stay_small(file: Path):
    text = file.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name


def test_no_floor_has_more_rooms_than_one_can_see_at_once():
    full: dict[str, int] = {}
    for folder in {file.parent for file in SOURCE.rglob("*.py")}:
        rooms = len([f for f in folder.glob("*.py") if f.name != "__init__.py"])
        if rooms > 15:
            full[str(folder.relative_to(SOURCE))] = rooms
    assert not full


def imported(tree: ast.Module) -> set[str]:
    """First parts below `auscult` of everything imported, at any depth of the file."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "auscult":
                names |= {a.name for a in node.names}
            elif node.module.startswith("auscult."):
                names.add(node.module.split(".")[1])
        if isinstance(node, ast.Import):
            names |= {a.name.split(".")[1] for a in node.names if a.name.startswith("auscult.")}
    return names


# Drawing an item of the gym is the one place that reaches up to the picture of it.
ALLOWED = {("gym", "plot")}


@pytest.mark.parametrize("package", ORDER)
def test_imports_point_one_way(package: str):
    allowed = {*ORDER[: ORDER.index(package) + 1]}
    place = SOURCE / package
    files = sorted(place.rglob("*.py")) if place.is_dir() else [SOURCE / f"{package}.py"]
    for file in files:
        for name in imported(ast.parse(file.read_text())):
            ok = name in allowed or (package, name) in ALLOWED or name not in (*ORDER, *TOP)
            assert ok, f"{file.relative_to(ROOT)} imports auscult.{name}"


def test_every_public_function_and_class_says_what_it_does():
    silent: list[str] = []
    for file in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(file.read_text())
        assert ast.get_docstring(tree) or not tree.body, file
        for node in tree.body:
            named = isinstance(node, ast.FunctionDef | ast.ClassDef)
            if named and not node.name.startswith("_") and not ast.get_docstring(node):
                silent.append(f"{file.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not silent


def test_no_pickle_is_read_or_written():
    for file in sorted(SOURCE.rglob("*.py")):
        assert not re.search(r"\bpickle\b|torch\.(save|load)\(", file.read_text()), file


DOCUMENTS = (
    "README.md", "CONTRIBUTING.md", "docs/grounding.md", "docs/data.md", "docs/recipe.md",
    "docs/results.md", "docs/evaluation.md", "docs/real_sound.md", "docs/engine.md",
    "docs/recordings.md",
)  # fmt: skip


def test_documents_name_no_file_that_does_not_exist():
    for name in DOCUMENTS:
        text = (ROOT / name).read_text()
        for path in re.findall(r"`((?:src|tests|benchmarks)/[\w./-]+)`", text):
            assert (ROOT / path).exists(), f"{name} names {path}"


def test_every_speed_names_its_processor():
    table = (ROOT / "README.md").read_text().split("## Speed")[1].split("## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 9
    for row in rows:
        assert re.search(r"Xeon|EPYC", row[3]), row[1]
    for name in DOCUMENTS[2:]:
        for line in (ROOT / name).read_text().splitlines():
            if re.search(r"\bspeeds?\b|tokens/s|tok/s", line) and re.search(
                r"\d\.\d\d|\d ms", line
            ):
                assert re.search(r"Xeon|EPYC", line), f"{name}: {line}"


def test_every_benchmark_that_prints_a_ratio_prints_the_processor():
    import sys

    sys.path.insert(0, str(ROOT / "benchmarks"))
    import machine

    assert re.fullmatch(r".+, \d+ cores", machine.processor()) and machine.on().startswith("; on ")
    silent = {"machine.py", "praat.py", "trl_side.py"}  # no speeds, or told by train.py
    for file in sorted((ROOT / "benchmarks").glob("*.py")):
        told = re.search(r"\{(?:on|processor)\(\)\}", file.read_text())
        assert file.name in silent or told, file.name


def test_documents_use_verbs_that_exist():
    from auscult.cli import VERBS

    for name in DOCUMENTS:
        text = (ROOT / name).read_text()
        for words in re.findall(r"^\S*auscult +([a-z-]+(?: [a-z]+)?)", text, flags=re.M):
            first = words.split()[0]
            assert words in VERBS or first in VERBS, f"{name} uses `auscult {words}`"


def test_what_was_tested_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {
        re.split(r"==", line)[0].lower()
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    wanted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = {re.split(r"[\[>=<]", w)[0].lower() for w in wanted} - {"auscult"}
    assert names <= pinned
