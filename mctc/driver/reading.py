"""Reading the files of a build; one that is absent or damaged is an error that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mctc.diagnostics.errors import MctcError
from mctc.driver.options import BuildError
from mctc.ir.program import Program

AGAIN = "build it again, with --force"


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises BuildError."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise BuildError(f"{path} is damaged: {error}", hint=AGAIN) from error


def read_program(path: Path) -> Program:
    """The program in a file. Raises BuildError."""
    from mctc.ir.text import parse_program  # a build's other files are read without it

    text = read_text(path)
    try:
        return parse_program(text)
    except MctcError as error:
        raise BuildError(f"{path} is damaged: {error}", hint=AGAIN) from error


def read_text(path: Path) -> str:
    """The text of a regular file. Raises BuildError."""
    if path.exists() and not path.is_file():
        raise BuildError(f"{path} is no regular file", hint=AGAIN)
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BuildError(f"{path} can't be read: {(error.strerror or str(error)).lower()}", hint=AGAIN) from error
    except UnicodeDecodeError as error:
        raise BuildError(f"{path} is damaged: byte {error.start} is not UTF-8", hint=AGAIN) from error
