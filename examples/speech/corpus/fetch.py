"""Gets what the corpus is made of from Debian's packages and PyPI, and packs what is needed of it into one archive."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from corpus import espeak, festival, flite, pico, prompts, rhvoice
from corpus.inputs import ESPEAK_FOLDER, LIBRARY_FOLDER, PICO_FOLDER, RHVOICE_FOLDER, SENTENCES
from corpus.texts import sentences

PACKAGES = (
    "flite", "festival", "festvox-kallpc16k", "festvox-kdlpc16k", "festvox-us-slt-hts", "festlex-cmu", "festlex-poslex",
    "asterisk-core-sounds-en", "asterisk-core-sounds-en-g722",
    "dict-gcide", "dict-wn", "dict-foldoc", "dict-jargon", "dict-devil", "fortunes", "fortunes-min",
)  # fmt: skip
WHEEL, PICO_SOURCE = "espeakng-loader", "ttspico"
# What every system with Python and its packages of C++ has.
GIVEN = re.compile(r"lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+)\.so|ld-linux|linux-vdso")
GIVEN_PACKAGES = re.compile(r"libc6|libgcc|libstdc\+\+|libc-bin|libcrypt")
ESPEAK_DATA = re.compile(r"(en_dict|phon\w+|intonations|lang/gmw/en\S*|voices/!v/\S+)")
LIBRARY_PATHS = ("usr/lib/*-linux-gnu", "lib/*-linux-gnu", "usr/lib/*-linux-gnu/pulseaudio")


def fetch(archive: Path, installed: bool, rhvoice_folder: Path | None = None) -> None:
    """Writes the archive. installed: the packages' files lie in the system's own folders. rhvoice_folder: RHVoice's
    library and data, if it is to speak, too.

    Raises RuntimeError where a package can't be had, FileNotFoundError where that folder lacks what speaks.
    """
    if not archive.parent.is_dir():
        raise FileNotFoundError(f"{archive.parent} is no folder to write {archive.name} into")
    if rhvoice_folder is not None:
        rhvoice.refuse_incomplete(rhvoice_folder)
    with TemporaryDirectory() as temporary:
        work, taken = Path(temporary), Path(temporary) / "taken"
        root = Path("/") if installed else _downloaded(work)
        if not (root / festival.PROGRAM).is_file():
            raise RuntimeError(f"festival is not installed: apt-get install {' '.join(PACKAGES)}, or no --installed")
        _take_espeak(_espeak(work), taken / ESPEAK_FOLDER)
        _take_pico(_unpacked(PICO_SOURCE, work), taken / PICO_FOLDER)
        _take_libraries(root, taken / LIBRARY_FOLDER)
        _copy(_needed(root), root, taken)
        if rhvoice_folder is not None:
            _copy(rhvoice.files(rhvoice_folder), rhvoice_folder, taken / RHVOICE_FOLDER)
        (taken / SENTENCES).write_text("\n".join(sentences(root)) + "\n", encoding="utf-8")
        part = archive.with_name(archive.name + ".part")
        with tarfile.open(part, "w:xz", preset=4) as packed:
            packed.add(taken, ".")
        part.rename(archive)


def _needed(root: Path) -> Iterator[Path]:
    """What is taken as it is: the program of festival with its data, recordings, texts of licences."""
    yield root / festival.PROGRAM
    yield root / prompts.LIST
    yield from (prompt.path for prompt in prompts.said(root, "g722"))
    yield from (path for path in sorted((root / festival.DATA).rglob("*")) if path.is_file())
    for package in (*PACKAGES, *_libraries_of(PACKAGES)):
        yield from (root / "usr/share/doc" / package).glob("copyright")


def _copy(paths: Iterable[Path], root: Path, folder: Path) -> None:
    """Files below a folder, in their places below another one."""
    for path in paths:
        target = folder / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def _downloaded(work: Path) -> Path:
    """A folder that holds what the packages hold."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise RuntimeError("fetch needs apt-get and dpkg-deb: Debian, Ubuntu, or a container of theirs")
    root, packages = work / "root", work / "packages"
    packages.mkdir()
    command = ["apt-get", "download", *PACKAGES, *_libraries_of(PACKAGES)]
    done = subprocess.run(command, cwd=packages, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{done.stderr.strip()[-400:]}\n`apt-get update` renews what apt-get knows")
    for each in sorted(packages.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", each, root], check=True)
    return root


def _libraries_of(packages: Iterable[str]) -> list[str]:
    """Packages of libraries that packages depend on, and those that these depend on."""
    found, asked = dict[str, None](), list(packages)
    while asked:
        told = subprocess.run(["apt-cache", "depends", *asked], capture_output=True, text=True, check=True).stdout
        needs = re.findall(r"^ [ |](?:Pre)?Depends: (lib\S+)$", told, re.M)
        asked = [name for name in dict.fromkeys(needs) if name not in found and not GIVEN_PACKAGES.match(name)]
        found.update(dict.fromkeys(asked))
    return list(found)


def _espeak(work: Path) -> tuple[Path, Path]:
    """espeak-ng's library, and the folder of its data."""
    if espeak.installed():
        return espeak.wheel()
    folder = next(_unpacked(WHEEL, work).rglob(espeak.DATA)).parent
    return folder / espeak.LIBRARY, folder


def _unpacked(package: str, work: Path) -> Path:
    """A folder with what the wheel of a package holds, which pip builds where PyPI has its source alone."""
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        work / package,
    ]
    if subprocess.run([*pip, package], check=False).returncode:
        raise RuntimeError(f"pip has no {package}, or no C compiler (`cc`) to build it with")
    with zipfile.ZipFile(next((work / package).glob("*.whl"))) as wheel:
        wheel.extractall(work / package)
    return work / package


def _take_pico(wheel: Path, folder: Path) -> None:
    """The library, which is one for any Python, and its English voices."""
    (folder / pico.LANGUAGES).mkdir(parents=True)
    shutil.copy(next(wheel.glob("*.so")), folder / pico.LIBRARY)
    shutil.copy(next(wheel.glob("*.dist-info/METADATA")), folder)  # which tells the licence
    for path in sorted(wheel.rglob(f"{pico.LANGUAGES}/{pico.DATA}")):
        shutil.copy(path, folder / pico.LANGUAGES)


def _take_espeak(wheel: tuple[Path, Path], folder: Path) -> None:
    """The library, and of its data what English needs."""
    library, data = wheel
    for path in sorted((data / espeak.DATA).rglob("*")):
        name = path.relative_to(data / espeak.DATA).as_posix()
        if path.is_file() and ESPEAK_DATA.fullmatch(name):
            target = folder / espeak.DATA / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    shutil.copy(library, folder / espeak.LIBRARY)


def _take_libraries(root: Path, folder: Path) -> None:
    """The shared libraries of flite and festival under the names by which they are looked for, in one folder."""
    folder.mkdir(parents=True)
    places = [place for paths in LIBRARY_PATHS for place in root.glob(paths)]
    voices = [place / flite.VOICE.format(voice) for voice in flite.PITCHES for place in places]
    asked = [root / festival.PROGRAM, *(path for path in voices if path.exists())]
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, places))}
    told = subprocess.run(["ldd", *asked], capture_output=True, text=True, env=environment, check=True).stdout
    needed = {name: Path(path) for name, path in re.findall(r"(\S+) => (/\S+)", told) if not GIVEN.match(name)}
    for name, path in {**needed, **{path.name: path for path in asked[1:]}}.items():
        shutil.copy(path, folder / name)
