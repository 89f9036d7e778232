"""What the corpus is made of: an archive that `fetch` wrote, or the installed wheel of espeak-ng alone."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from lzma import LZMAError
from pathlib import Path

from corpus import espeak, grammar, pico, prompts, rhvoice
from corpus.espeak import Espeak
from corpus.festival import PROGRAM, Festival
from corpus.flite import LIBRARIES, Flite
from corpus.pico import Pico
from corpus.rhvoice import RHVoice
from corpus.voice import Engine

SENTENCES, LIBRARY_FOLDER = "sentences.txt", "lib"
ESPEAK_FOLDER, PICO_FOLDER, RHVOICE_FOLDER = "espeak", "pico", "rhvoice"
NOTHING = "nothing speaks: pip install espeakng-loader, or --inputs with what `fetch` wrote"
LEFT_OUT = "nothing speaks: --without leaves out all of {}; person and selection only add to what these say"
BY_GRAMMAR = 10_000  # sentences, where no others are


@dataclass(frozen=True)
class Inputs:
    """A folder of fetched inputs, or None."""

    root: Path | None

    def engines(self) -> dict[str, Callable[[], Engine]]:
        """What opens each engine that is there."""
        found: dict[str, Callable[[], Engine]] = {}
        root = self.root
        if root is None:
            if espeak.installed():
                found["espeak"] = lambda: Espeak(*espeak.wheel())
        else:
            libraries = root / LIBRARY_FOLDER
            if (folder := root / ESPEAK_FOLDER).is_dir():
                found["espeak"] = lambda: Espeak(folder / espeak.LIBRARY, folder)
            if (libraries / LIBRARIES[1]).is_file():
                found["flite"] = lambda: Flite(libraries)
            if (root / PROGRAM).is_file():
                found["festival"] = lambda: Festival(root, libraries)
            if (root / PICO_FOLDER / pico.LIBRARY).is_file():
                found["pico"] = lambda: Pico(root / PICO_FOLDER)
            if (root / RHVOICE_FOLDER / rhvoice.LIBRARY).is_file():
                found["rhvoice"] = lambda: RHVoice(root / RHVOICE_FOLDER)
        return found

    def sentences(self, seed: int, count: int) -> list[str]:
        """All sentences; of a grammar, so many or BY_GRAMMAR."""
        if self.root is None:
            return [f"{sentence}." for sentence in grammar.sentences(count or BY_GRAMMAR, seed)]
        return (self.root / SENTENCES).read_text(encoding="utf-8").splitlines()

    def prompts(self) -> list[prompts.Prompt]:
        """A person's recordings."""
        if self.root is None or not (self.root / prompts.LIST).is_file():
            return []
        return prompts.said(self.root, "g722")


def digest(archive: Path) -> str:
    """Tells archives apart."""
    return sha256(archive.read_bytes()).hexdigest()[:16]


def unpacked(archive: Path, folder: Path) -> Path:
    """A folder with what an archive holds: `folder`, which is complete when it exists.

    Raises ValueError for what is no whole archive.
    """
    if not folder.is_dir():
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            with tarfile.open(archive) as packed:
                packed.extractall(part, filter="data")
        except (tarfile.TarError, LZMAError, EOFError) as error:
            shutil.rmtree(part, ignore_errors=True)
            raise ValueError(f"{archive} is no whole archive; `fetch` writes one") from error
        part.rename(folder)
    return folder
