"""The schema of the JSON report: `python -m mctc.linter.coreml.formats.json_schema` prints it."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from typing import Any

FILE = "lint-report-1.schema.json"


def schema_text() -> str:
    """The schema as it ships."""
    return files(__package__ or "mctc.linter.coreml.formats").joinpath(FILE).read_text(encoding="utf-8")


def schema() -> dict[str, Any]:
    """The schema (draft 2020-12) as data."""
    found = json.loads(schema_text())
    assert isinstance(found, dict)
    return found


if __name__ == "__main__":
    sys.stdout.write(schema_text())
