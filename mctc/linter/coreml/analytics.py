"""analytics.mil: what Core ML's compiler noted of every operation of a model before it split the program.

The text is a program like model.mil. Each operation says which backends could run it, how long each is estimated to
take, which one was chosen, and why another was not. The form is described in docs/lint-measured.md; the text may come
from anyone, and everything in it is checked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.plan import NOTED, OTHER, Measured, MeasuredPlan, is_constant
from mctc.package.errors import PackageError
from mctc.package.files import read_file
from mctc.package.mil_text import parse_text
from mctc.package.model import Constant, Function, Operation
from mctc.package.weights import Weights

NAME = "analytics.mil"
LIMIT = 256 << 20
DEVICES = {
    "ane": "ane", "mps_graph": "gpu", "bnns": "cpu", "classic_cpu": "cpu", "e5_minimal_cpu": "cpu", "jit_call": "cpu",
}  # fmt: skip
"""The device that each backend of the compiler runs on."""
INTERFACE = ("tensor_buffer_to_tensor", "tensor_to_tensor_buffer")
"""Operations that the compiler adds where a value comes in or goes out."""
BUFFER = "_4D454D5F4F5054"
"""What it puts behind the name of such a value."""
CACHE, BUNDLE = "com.apple.e5rt.e5bundlecache", ".bundle"
MICROSECONDS = 1000.0  # in a millisecond
HINT = (
    f"Core ML writes {NAME} to ~/Library/Caches/PROCESS/{CACHE}/BUILD/HASH/HASH.bundle/FAMILY.bundle when PROCESS "
    "loads the model"
)


def find_analytics(folder: Path) -> Path:
    """The only analytics.mil in a folder. Raises UsageError where there is none, or more than one."""
    found = sorted(Path(where) / name for where, _, names in os.walk(folder) for name in names if name == NAME)
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(str(each.relative_to(folder)) for each in found[:4])
        raise UsageError(f"{folder}: {len(found)} times {NAME} in here ({listed})", hint="name one of them")
    kept = folder / "analytics" / "coremldata.bin"
    said = f"; {kept.relative_to(folder)} holds the name and the hash of the model alone" if kept.is_file() else ""
    raise UsageError(f"{folder}: no {NAME} in here{said}", hint=HINT)


def read_analytics(path: Path) -> MeasuredPlan:
    """The plan that a text holds. Raises UsageError for one that is damaged or notes nothing."""
    try:
        text = read_file(path, LIMIT).decode("utf-8")
        weights = Weights(path.parent, path.parent, may_be_absent=True)
        functions = parse_text(text, path, weights)
        noted = {name: tuple(_measured(function)) for name, function in functions.items()}
        charges = _charges(functions)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a text ({error})", hint=HINT) from error
    except PackageError as error:
        raise UsageError(error.message, hint=error.hint or HINT) from error
    if not any(each.preferred for operations in noted.values() for each in operations):
        raise UsageError(f"{path}: no operation says where it runs: is this model.mil?", hint=HINT)
    devices = {device for operations in noted.values() for each in operations for device in each.times}
    launched = {DEVICES.get(name, OTHER) for name in _launched(functions)}
    if "ane" not in devices | launched:
        raise UsageError(
            f"{path}: compiled for units without the Neural Engine", hint="load the model with cpuAndNeuralEngine"
        )
    family, build = _machine(path)
    return MeasuredPlan(
        path=str(path),
        model=path.name,
        chip=family or "a chip that the path doesn't tell",
        system=f"build {build}" if build else "a system that the path doesn't tell",
        units="all" if "gpu" in devices | launched else "cpuAndNeuralEngine",
        functions=noted,
        source=NOTED,
        charges=charges,
    )


def _measured(function: Function) -> Iterator[Measured]:
    """The operations that some device runs, with the part of the whole that each takes where it was put."""
    operations = [_operation(each) for each in function.walk() if not _is_apart(each.type)]
    spent = [_spent(each) for each in operations]
    whole = sum(spent)
    for each, time in zip(operations, spent, strict=True):
        yield replace(each, cost=time / whole) if whole > 0 else each


def _is_apart(type_: str) -> bool:
    """Whether it is no op of the model that a device runs."""
    return type_ in INTERFACE or is_constant(type_)


def _spent(operation: Measured) -> float:
    """Microseconds where it was put; 0 where nothing is noted."""
    return operation.times.get(operation.preferred or "", 0.0)


def _operation(operation: Operation) -> Measured:
    said = operation.attributes
    chosen = _value(said, "SelectedBackend")
    backend = chosen if isinstance(chosen, str) and chosen else None
    support = _value(said, "BackendSupport")
    names = [name for name in support if isinstance(name, str)] if isinstance(support, list) else []
    times: dict[str, float] = {}
    for name, text in _entries(said, "EstimatedRuntime").items():
        time, device = _number(text), DEVICES.get(name, OTHER)
        if time is not None:
            times[device] = min(time * MICROSECONDS, times.get(device, float("inf")))
    return Measured(
        outputs=tuple(each.name.removesuffix(BUFFER) for each in operation.outputs),
        type=operation.type,
        preferred=None if backend is None else DEVICES.get(backend, OTHER),
        supported=frozenset(DEVICES.get(name, OTHER) for name in names if name != "unsupported"),
        cost=None,
        backend=backend or "",
        times=times,
        messages=_entries(said, "ValidationMessage"),
    )


def _charges(functions: Mapping[str, Function]) -> dict[str, float]:
    """Microseconds for entering the engine ("launch") and for going from it to the CPU ("switch"), as far as said."""
    said = [function.attributes for function in functions.values()]
    found = {}
    for name, keys in (("launch", ("Launch_ane_ms",)), ("switch", ("Src_ane_Dest_bnns_ms", "Src_bnns_Dest_ane_ms"))):
        values = [_value(attributes, key) for attributes in said for key in keys]
        times = [time for time in map(_number, values) if time is not None]
        if times:
            found[name] = max(times) * MICROSECONDS
    return found


def _launched(functions: Mapping[str, Function]) -> Iterator[str]:
    """The backends that the compiler considered."""
    for function in functions.values():
        for key in function.attributes:
            if key.startswith("Launch_") and key.endswith("_ms"):
                yield key.removeprefix("Launch_").removesuffix("_ms")


def _value(attributes: Mapping[str, Constant], key: str) -> Any:
    constant = attributes.get(key)
    return None if constant is None else constant.value()


def _entries(attributes: Mapping[str, Constant], key: str) -> dict[str, str]:
    found = _value(attributes, key)
    return found if isinstance(found, dict) else {}


def _number(value: Any) -> float | None:
    """A time that is finite and not negative; None for anything else."""
    try:
        found = float.fromhex(value) if isinstance(value, str) and "x" in value else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if isfinite(found) and found >= 0 and not isinstance(value, np.bool_) else None


def _machine(path: Path) -> tuple[str, str]:
    """The family of the chip and the build of the system, as the folders of Core ML's cache are named."""
    parts = path.absolute().parts
    bundle = path.absolute().parent.name
    family = bundle.removesuffix(BUNDLE) if bundle.endswith(BUNDLE) else ""
    build = parts[parts.index(CACHE) + 1] if CACHE in parts[:-2] else ""
    return family, build
