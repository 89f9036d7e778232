"""What a Mac answered: read from answers.zip, or given by the evaluator in the Mac's place."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from mctc.diagnostics.errors import MctcError, UsageError
from mctc.evaluate.coreml.precision import Array
from mctc.probe.kit import digest, probes
from mctc.probe.probe import Probe
from mctc.probe.run_probe import KIND, SCHEMA
from mctc.records import dataclass

LIMIT = 64 << 20
"""Bytes that one file of answers may take when it is unpacked."""
RECORD = "answers.json"


@dataclass(frozen=True)
class Answer:
    """engine, cpu: the result that is read, of a run on either. places: the device of each operation by the names of
    its results. errors: what failed, by what was tried."""

    engine: Array | None = None
    cpu: Array | None = None
    places: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    """chip, system: as the Mac calls them. answers: by probe."""

    chip: str
    system: str
    coremltools: str
    answers: Mapping[str, Answer]


class AnswersError(MctcError):
    """A file of answers that can't be read; names it and what is wrong."""


HINT = "`python run_probe.py` in the folder of `mctc probe write` writes it"


def read_answers(path: Path) -> Answers:
    """Raises AnswersError for a file that is missing, damaged, of another form, or of other probes than these."""
    try:
        with zipfile.ZipFile(path) as file:
            record = json.loads(_member(file, RECORD, path))
            arrays = {
                name.removesuffix(".npy"): _array(_member(file, name, path), name, path)
                for name in file.namelist()
                if name.endswith(".npy")
            }
    except (
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
    ) as error:  # also: encrypted, a method unknown
        raise AnswersError(f"{path}: can't be read ({error})", hint=HINT) from error
    except ValueError as error:
        raise AnswersError(f"{path}: {RECORD} is not JSON: {error}", hint=HINT) from error
    return _answers(record, arrays, path)


def _member(file: zipfile.ZipFile, name: str, path: Path) -> bytes:
    try:
        info = file.getinfo(name)
    except KeyError as error:
        raise AnswersError(f"{path}: there is no {name} in it", hint=HINT) from error
    if info.file_size > LIMIT:
        raise AnswersError(f"{path}: {name} takes {info.file_size} bytes, which no probe answers")
    return file.read(info)


def _array(data: bytes, name: str, path: Path) -> Array:
    try:
        array: Array = np.lib.format.read_array(BytesIO(data), allow_pickle=False)
    except ValueError as error:
        raise AnswersError(f"{path}: {name} is no array: {error}", hint=HINT) from error
    return array


def _answers(record: Any, arrays: Mapping[str, Array], path: Path) -> Answers:
    if not isinstance(record, dict) or record.get("kind") != KIND or record.get("schema") != SCHEMA:
        raise AnswersError(f"{path}: {RECORD} is not what run_probe.py writes", hint=HINT)
    if record.get("kit") != digest():
        raise AnswersError(f"{path}: answers to other probes than this mctc has", hint="write and run them again")
    given = record.get("probes")
    if not isinstance(given, dict):
        raise AnswersError(f"{path}: {RECORD} has no probes", hint=HINT)
    unknown = [str(name) for name in given if name not in probes()]
    if unknown:
        raise AnswersError(f"{path}: there is no probe `{unknown[0]}`", hint=HINT)
    answers = {name: _answer(probes()[name], said, arrays, path) for name, said in given.items()}
    chip, system, version = (str(record.get(key, "not told")) for key in ("chip", "system", "coremltools"))
    return Answers(chip, system, version, answers)


def _answer(probe: Probe, said: Any, arrays: Mapping[str, Array], path: Path) -> Answer:
    failed = said.get("errors", {}) if isinstance(said, dict) else None
    if not isinstance(failed, dict):
        raise AnswersError(f"{path}: the answer to {probe.name} is no record", hint=HINT)
    errors = {str(key): str(value) for key, value in failed.items()}
    found = {kind: _checked(probe, arrays.get(f"{probe.name}.{kind}"), path) for kind in ("engine", "cpu")}
    return Answer(found["engine"], found["cpu"], _places(said.get("plan")), errors)


def _checked(probe: Probe, array: Array | None, path: Path) -> Array | None:
    if array is None or not probe.output:
        return None
    (item,) = [each for each in probe.package.functions["main"].outputs if each.name == probe.output]
    shape = getattr(item.type, "shape", None)
    if array.shape != shape or array.dtype.kind != "f":
        raise AnswersError(f"{path}: the result of {probe.name} is {array.dtype}{list(array.shape)}, not {item.type}")
    return array.astype(np.float32)


def _places(plan: Any) -> dict[str, str]:
    """Devices by result names, of a plan as export_plan.py writes it; what is not of its form is passed over."""
    functions = plan.values() if isinstance(plan, dict) else []
    operations = [each for function in functions if isinstance(function, list) for each in function]
    return {
        str(name): str(each["preferred"])
        for each in operations
        if isinstance(each, dict) and each.get("preferred") and isinstance(each.get("outputs"), list)
        for name in each["outputs"]
    }


def evaluated(probe: Probe, arithmetic: str) -> dict[str, Array]:
    """What the probe's own ops give in an arithmetic, all of them on the engine."""
    from mctc.evaluate.coreml import Evaluator

    function = Evaluator(probe.bare, arithmetic).function()
    return function({item.name: probe.inputs[item.name] for item in function.inputs})


def answered_here(arithmetic: str = "engine:h18", device: str = "M6") -> dict[str, bytes]:
    """What answers.zip would hold if this evaluator were the Mac: files by name. Raises UsageError for an unknown
    arithmetic or device."""
    from mctc.linter.coreml.check import check_package
    from mctc.linter.coreml.table import table

    rules = list(table().rules.values())
    files: dict[str, bytes] = {}
    told = {}
    for probe in probes().values():
        (function,) = check_package(probe.package, rules, device=device).functions
        plan = [
            {"outputs": list(op.outputs), "type": op.type, "preferred": function.segments[op.segment].backend.value}
            for op in function.ops
        ]
        told[probe.name] = {"errors": {}, "seconds": {}, "plan": {"main": plan}}
        for kind, precision in (("engine", arithmetic), ("cpu", "fp16")) if probe.output else ():
            results = evaluated(probe, precision)
            stream = BytesIO()
            np.lib.format.write_array(stream, results[probe.output].astype(np.float16))
            files[f"{probe.name}.{kind}.npy"] = stream.getvalue()
    record = {
        "kind": KIND, "schema": SCHEMA, "kit": digest(), "chip": f"{arithmetic}, in place of an {device}",
        "system": "no Mac: mctc's evaluator", "coremltools": "none", "probes": told,
    }  # fmt: skip
    return {RECORD: json.dumps(record, indent=1).encode(), **files}


def write_answers(path: Path, files: Mapping[str, bytes]) -> None:
    """Writes answers.zip."""
    if path.suffix != ".zip":
        raise UsageError(f"{path}: answers are a .zip")
    from mctc.atomic import whole_file

    with whole_file(path) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
