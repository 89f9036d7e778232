"""One function, op by op: values by what they are written as, dispatch to rules, places in errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar

from mctc.diagnostics.errors import MctcError
from mctc.driver.forms import rule_of
from mctc.driver.names import place
from mctc.driver.options import BuildError
from mctc.emit.ports import Ports, ports_of
from mctc.emit.rules import Rules
from mctc.emit.unsupported import UnsupportedError
from mctc.ir.lookups import device_ops
from mctc.ir.op import InferenceError
from mctc.ir.program import Function, Op, Program, Value

Ref = TypeVar("Ref")  # what a value of the program is written as


class Emitter(Generic[Ref]):
    """Writes one function of a program: the base of what the rules of a target write with.

    target: its name. language: what it writes, in messages. raises: its own error, which names the op and its line.
    refers: what a rule returns for each result. values: what values are written as, those of the ports to begin with.
    """

    target: ClassVar[str]
    language: ClassVar[str]
    raises: ClassVar[type[MctcError]] = BuildError
    refers: ClassVar[type] = str

    def __init__(self, program: Program, function: Function, *, states_as_io: bool, lookups: bool = True) -> None:
        self.program, self.function = program, function
        self.ports: Ports = ports_of(function, states_as_io=states_as_io, lookups=lookups)
        self.values: dict[Value, Ref] = {}
        self._ops = list(device_ops(function)) if lookups else function.ops

    def ref(self, value: Value) -> Ref:
        """What a value that has been written is written as."""
        return self.values[value]

    def emit_ops(self, rules: Rules[Any, Any]) -> None:
        """Writes every op. Raises `raises` for one without a form, FormMissingError for one of a plugin."""
        for op in self._ops:
            with self.at(op):
                self.emit_op(op, rules)

    def emit_op(self, op: Op, rules: Rules[Any, Any]) -> None:
        """Writes an op by its rule."""
        rule = rule_of(op, self.target, rules, lambda made: self.sound(op, made))
        if rule is None:
            hint = "a pass has to lower it: see `mctc passes`"
            raise self.raises(f"{place(op)} has no {self.language} form", hint=hint)
        self.bind(op, rule(op, self))

    def sound(self, op: Op, made: Any) -> bool:
        """Whether a form returned what a rule returns: what the result is written as, a list where they are several."""
        return are(made, len(op.results), self.refers)

    def bind(self, op: Op, made: Any) -> None:
        """Notes what the results of an op are written as: what its rule returned, a list where they are several."""
        made = made if isinstance(made, (list, tuple)) else [made]
        self.values.update(zip(op.results, made, strict=True))

    @contextmanager
    def at(self, op: Op) -> Iterator[None]:
        """Says in errors of rules which op they are about."""
        try:
            yield
        except (UnsupportedError, InferenceError) as error:
            raise self.raises(f"{place(op)}: {error}", hint=getattr(error, "hint", None)) from error


def are(made: Any, count: int, kind: type) -> bool:
    """Whether it is one `kind`, or a list of as many as there are results."""
    if isinstance(made, kind):
        return count == 1
    return isinstance(made, (list, tuple)) and len(made) == count and all(isinstance(each, kind) for each in made)
