"""Which files a program was read from, their hashes and their texts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mctc.diagnostics.source import SourceFile


def source_record(spec: Path, read: Iterable[SourceFile]) -> dict[str, Any]:
    """What the manifest says of the spec: its name, and the hash of every file that was read for it."""
    hashes = {source.name: hashlib.sha256(source.text.encode()).hexdigest() for source in read}
    return {"spec": str(spec), "files": dict(sorted(hashes.items()))}


def digest(hashes: Iterable[tuple[str, str]]) -> str:
    """One hash for several files, whatever they are called."""
    return hashlib.sha256("".join(value for _, value in sorted(hashes)).encode()).hexdigest()


def texts(read: Iterable[SourceFile]) -> dict[str, str]:
    """The files themselves, as metadata: 'mctc.source/' and a file's name."""
    return {f"mctc.source/{source.name}": source.text for source in read}
