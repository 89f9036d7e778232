"""Failures as files: a minimal spec, with a header that says what failed and how it was built."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from bench.fuzz.builds import from_text
from bench.fuzz.findings import Outcome, without_folder
from bench.fuzz.pipeline import run_text
from bench.fuzz.tally import Failure
from mctc.language import format_source

OPTIONS = "# options: "
STREAMS = "# streams: "
BROKEN = "# broken"


def write(failure: Failure, folder: Path) -> Path:
    """Writes a failure; two that look alike get one file."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"\W+", "_", failure.stage).strip("_").lower()
    digest = hashlib.sha256("".join(failure.key).encode()).hexdigest()[:6]
    path = folder / f"{stem}_{digest}.mct"
    path.write_text(as_text(failure), encoding="utf-8")
    return path


def as_text(failure: Failure) -> str:
    """The file's text: the header, then the spec, formatted where it can be."""
    told = " ".join(without_folder(failure.what).split())
    head = [f"# {failure.stage}: {told[:400]}"]
    head += [f"{OPTIONS}{failure.options}"] if failure.options else [BROKEN]
    head += [f"{STREAMS}{'yes' if failure.streams else 'no'}"] if failure.streams is not None else []
    try:
        text = format_source(failure.text)
    except Exception:  # what is being reported may be the formatter's own fault
        text = failure.text
    return "\n".join([*head, "", text])


def replay(path: Path, runtimes: list[str] | None = None) -> Outcome | None:
    """Runs a file again. None for a broken spec. Raises FindingError where it still fails."""
    from bench.fuzz.broken import Broken, check_broken
    from mctc.driver.options import BuildOptions

    text = path.read_text(encoding="utf-8")
    lines = text.split("\n\n", 1)[0].splitlines()
    if BROKEN in lines:
        check_broken(Broken(path.stem, text, BuildOptions(chunk=4)))
        return None
    options = next((line.removeprefix(OPTIONS) for line in lines if line.startswith(OPTIONS)), "{}")
    streams = next((line == f"{STREAMS}yes" for line in lines if line.startswith(STREAMS)), None)
    return run_text(text, from_text(options), streams=streams, runtimes=runtimes)
