"""From a name in a build back to the spec: which line an op or a parameter comes from, and which passes touched it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mctc.diagnostics.diagnostic import source_named
from mctc.diagnostics.near import did_you_mean
from mctc.driver.manifest import ORIGINS, PROGRAM, read_manifest
from mctc.driver.options import BuildError
from mctc.driver.reading import AGAIN, read_json, read_program
from mctc.driver.sources import FOLDER
from mctc.ir.location import Location, Origin
from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.program import Op, Parameter, Program, Value
from mctc.records import dataclass

PARAMETER = "parameter"


@dataclass(frozen=True)
class Trace:
    """One thing that a name stands for. `name` is the one in the package or, for a parameter, in the spec."""

    name: str
    kind: str  # the op's name, or 'parameter'
    what: str  # types going in and out; how a parameter is stored
    function: str
    origin: Origin


class Traces:
    """All names of a build: operations of its package, parameters, instance paths. Raises BuildError."""

    def __init__(self, folder: Path) -> None:
        self.sources = folder / FOLDER
        self.manifest = read_manifest(folder)
        self.program = read_program(folder / PROGRAM)
        origins = read_json(folder / ORIGINS)
        try:
            self.operations = {
                (function, name): self.program.functions[function].ops[found["op"]]
                for function, names in origins.items()
                for name, found in names.items()
            }
        except (KeyError, IndexError, AttributeError, TypeError) as error:
            raise BuildError(f"{folder / ORIGINS} is damaged: {type(error).__name__}: {error}", hint=AGAIN) from error

    def find(self, name: str) -> list[Trace]:
        """What `name` stands for: an operation, a parameter (dots or underscores), or every op of an instance path.

        Raises BuildError with near names when it stands for nothing.
        """
        found = [*self._parameters(name), *self._operations(name)] or list(self._under(name))
        if not found:
            raise BuildError(f"nothing in this build is called `{name}`", hint=did_you_mean(name, self.names()))
        return found

    def refusals(self, trace: Trace) -> list[tuple[str, str]]:
        """(pass, why) of every pass that looked at what a trace is of, as it was then, and let go of it."""
        origin, touched = trace.origin, [event.by for event in trace.origin.history]
        place = None if origin.location is None else str(origin.location)
        functions = (trace.function, self.manifest["functions"].get(trace.function, {}).get("component"))
        found = [
            (each["pass"], f"{each['op']}: {each['why']}")
            for each in self.manifest.get("refusals", ())
            if (each["where"], each["place"]) == (origin.path, place)
            and each["function"] in functions
            and each["touched"] == touched[: len(each["touched"])]
        ]
        return list(dict.fromkeys(found))

    def decisions(self, trace: Trace) -> list[tuple[str, str]]:
        """(pass, why) of every decision about what a trace is of, the parameter or the op's instance, that its history
        does not tell already."""
        about = trace.name if trace.kind == PARAMETER else trace.origin.path
        found = [(each["pass"], each["why"]) for each in self.manifest["explanations"] if each["where"] == about]
        known = {(event.by, event.change) for event in trace.origin.history}
        return [each for each in dict.fromkeys(found) if each not in known] if about else []

    def line(self, location: Location) -> str:
        """The line of the spec at a place, from the build's own copy; '' where it can't be read."""
        source = source_named(location.file, self.sources)
        if source is None or not 0 < location.line <= len(source.line_starts):
            return ""
        return source.line(location.line).strip()

    def names(self) -> set[str]:
        """Every name that `find` knows."""
        paths = {op.origin.path for op in self.operations.values()}
        return {name for _, name in self.operations} | set(self.program.parameters) | paths

    def _parameters(self, name: str) -> Iterator[Trace]:
        for parameter in self.program.parameters.values():
            if name in (parameter.name, parameter.name.replace(".", "_"), parameter.name.removesuffix(".weight")):
                users = ", ".join(sorted({f.name for f, op in self.program.ops() if _reads(op, parameter.name)}))
                yield Trace(parameter.name, PARAMETER, _stored(parameter), users, parameter.origin)

    def _operations(self, name: str) -> Iterator[Trace]:
        for (function, called), op in self.operations.items():
            if called == name:
                yield _trace(called, op, function)

    def _under(self, path: str) -> Iterator[Trace]:
        for (function, called), op in self.operations.items():
            if op.origin.path == path or op.origin.path.startswith(f"{path}."):
                yield _trace(called, op, function)


def _trace(called: str, op: Op, function: str) -> Trace:
    into = ", ".join(str(value.type) for value in op.operands if isinstance(value, Value))
    out = ", ".join(str(value.type) for value in op.results)
    return Trace(called, op.name, f"{into or 'nothing'} -> {out}", function, op.origin)


def _reads(op: Op, name: str) -> bool:
    return isinstance(op, ParameterOp) and op.parameter == name


def _stored(parameter: Parameter) -> str:
    how = parameter.quantization
    if how is None:
        return f"{parameter.type}, stored in {'fp32' if parameter.wide else 'fp16'}"
    if how.scheme != "palette":
        return f"{parameter.type}, stored in {how.scheme}, a scale for each output channel"
    shared = "the tensor" if how.group is None else f"{how.group} output channels"
    return f"{parameter.type}, stored as a palette of {how.bits} bits for {shared}"


def checkpoint_names(program: Program, name: str) -> list[str]:
    """The checkpoint tensors that a parameter is computed from."""
    from mctc.ir.recipes import leaves

    return sorted({source.name for source in leaves(program.parameters[name].recipe)})
