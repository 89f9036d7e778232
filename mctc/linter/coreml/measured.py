"""Reads what a Mac said of a model: plan.json as export_plan.py wrote it, or the text that Core ML's compiler notes.

Both forms are described in docs/lint-measured.md. The file may come from anyone: everything in it is checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any

from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.analytics import find_analytics, read_analytics
from mctc.linter.coreml.export_plan import DEVICES, KIND, SCHEMA, UNITS
from mctc.linter.coreml.plan import OTHER, Measured, MeasuredPlan, is_constant
from mctc.records import dataclass

LIMIT = 256 << 20
PROGRAM = re.compile(r"\s*program\s*\(")
"""How the text of a program begins."""
WITH_ENGINE = ("cpuAndNeuralEngine", "all")
HINT = "`mctc lint --exporter > export_plan.py` prints the script that writes it on a Mac"


def exporter() -> str:
    """The script that writes plan.json, for use on a Mac without mctc."""
    return files("mctc.linter.coreml").joinpath("export_plan.py").read_text(encoding="utf-8")


def read_plan(path: Path) -> MeasuredPlan:
    """A plan from a file, or from the only analytics.mil in a folder.

    Raises UsageError for one that is missing, damaged, or of another form or version.
    """
    if path.is_dir():
        return read_analytics(find_analytics(path))
    try:
        size = path.stat().st_size
        if size > LIMIT:
            raise UsageError(f"{path}: {size} bytes are no compute plan")
        text = path.read_text(encoding="utf-8")
        if PROGRAM.match(text):
            return read_analytics(path)
        content = json.loads(text)
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({(error.strerror or str(error)).lower()})", hint=HINT) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not a compute plan, not even JSON: {error}", hint=HINT) from error
    return _Reader(path).plan(content)


@dataclass(frozen=True)
class _Reader:
    """Reads one file's content."""

    path: Path

    def plan(self, content: Any) -> MeasuredPlan:
        if not isinstance(content, dict) or content.get("kind") != KIND:
            raise UsageError(f"{self.path}: not a compute plan", hint=HINT)
        if content.get("schema") != SCHEMA:
            found = json.dumps(content.get("schema"))[:40]
            raise UsageError(f"{self.path}: the plan has schema {found}, this mctc reads {SCHEMA}", hint=HINT)
        said = {key: self.text(content.get(key), key) for key in ("model", "chip", "system", "units")}
        if said["units"] not in WITH_ENGINE:
            known = said["units"] if said["units"] in UNITS else repr(said["units"][:40])
            raise UsageError(
                f"{self.path}: measured for {known}, where nothing runs on the Neural Engine",
                hint="measure with --units cpuAndNeuralEngine",
            )
        functions = content.get("functions")
        if not isinstance(functions, dict):
            raise self.damaged("functions", "an object")
        model, chip, system, units = said.values()
        return MeasuredPlan(str(self.path), model, chip, system, units, dict(self.functions(functions)))

    def functions(self, functions: dict[str, Any]) -> Iterator[tuple[str, tuple[Measured, ...]]]:
        for name, operations in functions.items():
            place = f"function {name[:80]!r}"
            if not isinstance(operations, list):
                raise self.damaged(place, "a list of operations")
            read = (self.operation(each, f"{place}, operation {index}") for index, each in enumerate(operations))
            yield name, tuple(each for each in read if not is_constant(each.type))

    def operation(self, value: Any, place: str) -> Measured:
        if not isinstance(value, dict):
            raise self.damaged(place, "an object")
        preferred, cost = value.get("preferred"), value.get("cost")
        if cost is not None and (isinstance(cost, bool) or not isinstance(cost, (int, float)) or not 0 <= cost <= 1):
            raise self.damaged(f"{place}, cost", "a number from 0 to 1")
        return Measured(
            outputs=self.texts(value.get("outputs"), f"{place}, outputs"),
            type=self.text(value.get("type"), f"{place}, type").rpartition(".")[2],
            preferred=None if preferred is None else _device(self.text(preferred, f"{place}, preferred")),
            supported=frozenset(map(_device, self.texts(value.get("supported"), f"{place}, supported"))),
            cost=float(cost) if cost is not None and isfinite(cost) else None,
        )

    def texts(self, value: Any, place: str) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise self.damaged(place, "a list of texts")
        return tuple(self.text(each, place) for each in value)

    def text(self, value: Any, place: str) -> str:
        if not isinstance(value, str):
            raise self.damaged(place, "a text")
        return value

    def damaged(self, place: str, wanted: str) -> UsageError:
        return UsageError(f"{self.path}: the compute plan is damaged: {place} is not {wanted}", hint=HINT)


def _device(name: str) -> str:
    return name if name in DEVICES.values() else OTHER
