"""Which files a program was read from, and their hashes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mctc.build.manifest import sha256
from mctc.build.options import BuildOptions
from mctc.ir.program import Program


def source_record(spec: Path, program: Program, options: BuildOptions) -> dict[str, Any]:
    """What the manifest says of the spec: its name, and the hash of every file that an op comes from."""
    names = sorted({str(spec), *_files(program)})
    hashes = {name: sha256(Path(name)) for name in names if Path(name).is_file()}
    return {"spec": str(spec), "files": hashes}


def digest(hashes: Iterable[tuple[str, str]]) -> str:
    """One hash for several files, whatever they are called."""
    import hashlib

    return hashlib.sha256("".join(value for _, value in sorted(hashes)).encode()).hexdigest()


def _files(program: Program) -> Iterator[str]:
    for function, op in program.ops():
        for origin in (function.origin, op.origin):
            if origin.location is not None:
                yield origin.location.file
