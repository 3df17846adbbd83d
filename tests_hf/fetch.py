"""Brings the common tests of the pinned `transformers` from its source distribution on PyPI.

They stay outside the repository: `tests_hf/.source` is ignored by git. The distribution lacks the
tests of generation and of exporters, which the common ones import; empty classes stand in for
them. `HF_TESTS=FOLDER` takes the `tests` folder of a git checkout instead, with all of them.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE / ".source"
STAND_INS = {
    "exporters/test_export.py": "class ExportTesterMixin:\n    pass\n",
    "generation/test_utils.py": "class GenerationTesterMixin:\n    pass\n",
}


def fetch() -> Path:
    """The folder that holds the package `tests`."""
    wanted = version("transformers")
    given = os.environ.get("HF_TESTS", "")
    mark = SOURCE / "version"
    if mark.is_file() and mark.read_text() == f"{wanted} {given}":
        return SOURCE
    shutil.rmtree(SOURCE, ignore_errors=True)
    if given:
        shutil.copytree(given, SOURCE / "tests")
        utils = Path(given).parent / "utils"
        shutil.copytree(utils, SOURCE / "utils")
    else:
        _of_distribution(wanted)
    mark.write_text(f"{wanted} {given}")
    return SOURCE


def _of_distribution(wanted: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary"]
        rest = ["transformers", "--dest", made, f"transformers=={wanted}"]
        subprocess.run([*pip, *rest], check=True)
        with tarfile.open(next(Path(made).glob("*.tar.gz"))) as tar:
            tar.extractall(made, filter="data")
        root = Path(made) / f"transformers-{wanted}"
        shutil.copytree(root / "tests", SOURCE / "tests")
    for name, text in STAND_INS.items():
        path = SOURCE / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for folder in (SOURCE / "tests", *(SOURCE / "tests").glob("*/")):
        (folder / "__init__.py").touch()
    # What the processor tests import from the repository's tools: where a file of the Hub lies.
    tools = SOURCE / "utils"
    tools.mkdir()
    (tools / "fetch_hub_objects_for_ci.py").write_text(
        "def url_to_local_path(url):\n    return url\n"
    )


if __name__ == "__main__":
    print(fetch())
