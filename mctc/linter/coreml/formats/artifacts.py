"""The files that findings are about, as GitHub and SARIF name them: relative to the folder that mctc runs in."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from mctc.linter.coreml.report import Finding, Report
from mctc.records import dataclass

SOURCES = "source"  # the folder of a build that holds its spec
PLACE = re.compile(r"(?P<file>.+):(?P<line>[1-9]\d{0,8}):(?P<column>[1-9]\d{0,8})", re.DOTALL)


@dataclass(frozen=True)
class Artifact:
    """A file, and the line and column in it; none of these for a package, which has no lines."""

    file: str
    line: int | None = None
    column: int | None = None


def artifact_of(report: Report, finding: Finding) -> Artifact:
    """The line of the spec where mctc made the package, in the copy that its build keeps; else the package."""
    match = PLACE.fullmatch(finding.place.location) if finding.place is not None else None
    if match is None:
        return Artifact(relative(report.path))
    copy = Path(report.path).parent / SOURCES / match["file"]
    file = str(copy) if copy.is_file() else match["file"]
    return Artifact(relative(file), int(match["line"]), int(match["column"]))


def relative(path: str) -> str:
    """The path from the current folder, with slashes; absolute where it leads out of that folder."""
    return _relative(path, Path.cwd())


@lru_cache(maxsize=1024)
def _relative(path: str, here: Path) -> str:
    full = Path(os.path.normpath(here / path))  # by the text alone: links are not followed, the file need not exist
    return (full.relative_to(here) if full.is_relative_to(here) else full).as_posix()


def uri(path: str) -> str:
    """A path as a URI reference: relative, or file:///... for an absolute one."""
    quoted = quote(path, safe="/", errors="replace")
    return f"file://{quoted}" if path.startswith("/") else quoted
