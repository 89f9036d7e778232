"""An operand of a comparison: a spec, or the folder of a build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mctc.compare.measured import Deployed, Measured, measured
from mctc.compare.storage import stored_bytes
from mctc.driver.compile import compile_program, compile_whole
from mctc.driver.compiled import Requirements
from mctc.driver.contents import blamed
from mctc.driver.make import build
from mctc.driver.manifest import PROGRAM, WHOLE, read_manifest
from mctc.driver.options import BuildOptions
from mctc.driver.reading import read_json, read_program
from mctc.language.read import Spec

PLACEMENT = "placement.json"
STEPS = Requirements(deploys=False)  # to the step functions, and no further


def measure(path: Spec, defines: Mapping[str, Any], *, builds: bool = False) -> Measured:
    """A spec (its last model) or a build, counted. Raises MctcError.

    builds: a spec is built for the Neural Engine, with initial weights and in passing, to say what the package does.
    """
    if isinstance(path, Path) and path.is_dir():
        with blamed(path):
            return measure_build(path)
    return _built(path, defines) if builds else measure_spec(path, defines)


def measure_spec(path: Spec, defines: Mapping[str, Any], model: str | None = None) -> Measured:
    """A spec, counted from its step functions. Raises MctcError."""
    from mctc.language import elaborate_file

    program = elaborate_file(path, model=model, defines=defines)
    return measured(compile_program(program, BuildOptions(defines=defines), requirements=STEPS), str(path))


def measure_build(folder: Path) -> Measured:
    """A build, counted from its own programs and from what `mctc lint` said of its packages. Raises MctcError."""
    manifest = read_manifest(folder)
    stream = manifest["stream"]
    options = BuildOptions(target=manifest["target"], chunk=stream["chunk_frames"] if stream["streams"] else None)
    counted = measured(compile_whole(read_program(folder / WHOLE), options, requirements=STEPS), str(folder))
    stored = sum(stored_bytes(parameter) for parameter in read_program(folder / PROGRAM).parameters.values())
    return replace(counted, weight_bytes=stored, deployed=_deployed(folder / PLACEMENT))


def _built(spec: Spec, defines: Mapping[str, Any]) -> Measured:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "build"
        build(spec, folder, BuildOptions(defines=defines, allow_errors=True))
        return replace(measure_build(folder), source=str(spec))


def _deployed(path: Path) -> Deployed | None:
    """The figures of a build's placement report; None for a target that writes none."""
    if not path.is_file():
        return None
    packages = read_json(path)["packages"]
    functions = [function for package in packages for function in package["functions"]]
    time = sum(function["cpu_time_us"] or 0.0 for function in functions)

    def share(where: str) -> float:
        return sum(each["shares"][where] * (each["cpu_time_us"] or 0.0) for each in functions) / time if time else 0.0

    return Deployed(
        weight_bytes=sum(package["weight_bytes"] for package in packages),
        ops=sum(len(function["ops"]) for function in functions),
        eligible=sum(op["eligible"] != "no" for function in functions for op in function["ops"]),
        on_engine=share("ane"),
        doubtful=share("doubtful"),
        switches=sum(function["switches"] for function in functions),
        memory=sum(function["memory"]["bytes"] for function in functions),
        padded=sum(function["memory"]["padded"] for function in functions),
        errors=sum(package["counts"]["error"] for package in packages),
    )
