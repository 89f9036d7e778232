"""Which files a program was read from: their hashes, their texts, and the copies that a build keeps of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mctc.diagnostics.source import FileRead, SourceFile
from mctc.version import __version__

FOLDER = "source"  # of a build


def source_record(read: Sequence[FileRead]) -> dict[str, Any]:
    """What the manifest says of the spec, which was read first: its copy in the build, and the hash of every file that
    was read for it."""
    hashes = {source.identity: hashlib.sha256(source.data).hexdigest() for source in read}
    return {"spec": f"{FOLDER}/{read[0].identity}", "files": dict(sorted(hashes.items()))}


def changed(record: Mapping[str, Any], read: Sequence[FileRead], version: str) -> str:
    """What tells the files of a build's record from those that were read now. version: of the mctc that built it."""
    was, now = record["files"], source_record(read)["files"]
    names = [name for name in sorted(was.keys() | now.keys()) if was.get(name) != now.get(name)]
    library = {source.identity for source in read if source.shipped}
    if names and library.issuperset(names):
        of = "" if version == __version__ else f" (built by mctc {version}, this is {__version__})"
        return f"the library's {', '.join(names)} changed since{of}"
    return f"the spec has changed since: {', '.join(names)}" if names else "the spec has changed since"


def write_sources(read: Iterable[FileRead], folder: Path) -> None:
    """Copies the author's files into a build, so that it can be compiled again wherever it is. The library's stay out:
    an installation has them."""
    for source in read:
        if not source.shipped:
            copy = folder / FOLDER / source.identity
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.data)


def digest(hashes: Iterable[tuple[str, str]]) -> str:
    """One hash for several files, whatever they are called."""
    return hashlib.sha256("".join(value for _, value in sorted(hashes)).encode()).hexdigest()


def texts(read: Iterable[FileRead]) -> dict[str, str]:
    """The texts themselves, as metadata: 'mctc.source/' and a file's name. Numbers of a file are in the artifact."""
    return {f"mctc.source/{source.identity}": source.text for source in read if isinstance(source, SourceFile)}
