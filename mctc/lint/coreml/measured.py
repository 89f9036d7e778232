"""plan.json: where Core ML wants to run every operation, as export_plan.py wrote it on a Mac.

The form is described in docs/lint-measured.md. The file may come from anyone: everything in it is checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any

from mctc.diagnostics.errors import UsageError
from mctc.lint.coreml.export_plan import DEVICES, KIND, SCHEMA, UNITS

LIMIT = 256 << 20
OTHER = "other"
WITH_ENGINE = ("cpuAndNeuralEngine", "all")
HINT = "`mctc lint --exporter > export_plan.py` prints the script that writes it on a Mac"


@dataclass(frozen=True)
class Measured:
    """One operation. type: without the opset in front. preferred, supported: ane, cpu, gpu or other; preferred is None
    where Core ML says nothing. cost: its part of the whole model's, from 0 to 1."""

    outputs: tuple[str, ...]
    type: str
    preferred: str | None
    supported: frozenset[str]
    cost: float | None


@dataclass(frozen=True)
class Plan:
    """What a Mac said of a model. functions: the operations but constants, in order."""

    path: str
    model: str
    chip: str
    system: str
    units: str
    functions: Mapping[str, tuple[Measured, ...]]


def exporter() -> str:
    """The script that writes plan.json, for use on a Mac without mctc."""
    return files("mctc.lint.coreml").joinpath("export_plan.py").read_text(encoding="utf-8")


def read_plan(path: Path) -> Plan:
    """A plan from a file. Raises UsageError for one that is missing, damaged, or of another form or version."""
    try:
        size = path.stat().st_size
        if size > LIMIT:
            raise UsageError(f"{path}: {size} bytes are no compute plan")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({(error.strerror or str(error)).lower()})", hint=HINT) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not a compute plan, not even JSON: {error}", hint=HINT) from error
    return _Reader(path).plan(content)


@dataclass(frozen=True)
class _Reader:
    """Reads one file's content."""

    path: Path

    def plan(self, content: Any) -> Plan:
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
        return Plan(str(self.path), functions=dict(self.functions(functions)), **said)

    def functions(self, functions: dict[str, Any]) -> Iterator[tuple[str, tuple[Measured, ...]]]:
        for name, operations in functions.items():
            place = f"function {name[:80]!r}"
            if not isinstance(operations, list):
                raise self.damaged(place, "a list of operations")
            read = (self.operation(each, f"{place}, operation {index}") for index, each in enumerate(operations))
            yield name, tuple(each for each in read if not _is_constant(each.type))

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


def _is_constant(type_: str) -> bool:
    """Whether an operation is a stored or compressed constant, which no device runs."""
    return type_ == "const" or type_.startswith("constexpr_")
