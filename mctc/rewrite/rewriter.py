"""Rewriting by rebuilding: every op is visited once, replaced or re-emitted, and types are inferred again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from mctc.diagnostics.diagnostic import LocatedError
from mctc.ir.attribute_value import AttributeValue
from mctc.ir.build import Builder
from mctc.ir.location import Location, Origin
from mctc.ir.op import InferenceError
from mctc.ir.ops.leaf import Constant, Leaf, ParameterOp
from mctc.ir.program import Function, Op, Program, Quantization, State, Value, name_like
from mctc.ir.types import TensorType
from mctc.rewrite.base import Context
from mctc.rewrite.pattern import Refuse, Rule, may_fire

OPS = 200_000  # of one function: an option that makes more is a slip of the finger
ENTRIES = 1 << 28  # of one tensor, parameters apart: half a gigabyte in fp16

Retype = Callable[[TensorType], TensorType]


SMALLER = "give calls a smaller chunk, or the pass another option (--chunk, --pass)"


class RewriteError(LocatedError):
    """A pass can't take an op, or built something that does not type-check; names the pass, the op and its place."""

    def __init__(self, message: str, location: Location | None, *, hint: str | None = None) -> None:
        super().__init__("MCT0203", message, location, hint=hint)


class Rewriter(Builder):
    """What a rule sees while one function is rebuilt. `emit` and `op` append to the new function.

    `self[value]` is the new value for an old one; `uses` are the old function's uses; `note` words the change, `refuse`
    and `explain` tell the context why an op stays, or became what it is.
    """

    def __init__(self, program: Program, function: Function, by: str, context: Context | None = None) -> None:
        super().__init__(program)
        self.function, self.by = function, by
        self.context = context or Context()
        self.kept = set(function.outputs)
        self._new: dict[Value | None, Any] = {None: None}  # an operand that is absent stays so
        self._note = ""

    @cached_property
    def _old(self) -> set[Op]:
        """The ops of the old function: those of them that are taken over belong to it as well."""
        return set(self.function.ops)

    @cached_property
    def uses(self) -> dict[Value, list[Op]]:
        return self.function.uses()

    def __getitem__(self, old: Value) -> Value:
        new: Value = self._new[old]
        return new

    def known(self, old: Value) -> Value | None:
        """The new value of an old one that has been visited, else None."""
        return self._new.get(old)

    def maybe(self, old: Value | None) -> Value | None:
        """The new value of an optional operand."""
        new: Value | None = self._new[old]
        return new

    def operands(self, op: Op) -> tuple[Value | None, ...]:
        """The new operands of an old op."""
        return tuple(map(self._new.__getitem__, op.operands))

    def named(self, op: Op, operand: str) -> Value | None:
        """The new value of the operand declared as `operand`."""
        return self.maybe(op.operand(operand))

    def only_use(self, value: Value) -> Op | None:
        """The one op that uses an old value, if there is exactly one and the value is no output."""
        users = self.uses.get(value, [])
        return users[0] if len(users) == 1 and value not in self.kept else None

    def stored(self, value: Value) -> Quantization | None:
        """How the parameter that a value is will be stored, where that is compressed."""
        if not isinstance(value.owner, ParameterOp):
            return None
        return self.program.parameters[value.owner.parameter].quantization

    def note(self, change: str) -> None:
        self._note = change

    def refuse(self, op: Op, why: str) -> None:
        self.context.refuse(self.by, self.function.name, op, why)

    def explain(self, op: Op, why: str) -> None:
        self.context.explain(self.by, op.origin.path or self.function.name, why)

    def copy(self, op: Op) -> tuple[Value, ...]:
        """Re-emits an old op on its new operands; an op with nothing new about it is taken over as it is."""
        if isinstance(op, ParameterOp) and op.parameter in self.program.parameters:
            return (self._copy_parameter(op),)
        operands = self.operands(op)
        if operands == op.operands:
            return self._take(op)
        if _alike(operands, op.operands):
            return self._again(op, operands, self.origin)
        return self.emit(op.name, *operands, **op.attributes)

    def _again(self, op: Op, operands: tuple[Value | None, ...], origin: Origin) -> tuple[Value, ...]:
        """An old op on other operands of the same types: inference would give what it gave."""
        made = type(op)(operands, op.attributes, origin)
        made.results = tuple([Value(old.type, "", made, old.index) for old in op.results])
        made.verified = op.verified
        self.ops.append(made)
        return made.results

    def _copy_parameter(self, op: ParameterOp) -> Value:
        name = op.parameter
        if name not in self._parameters and self.program.parameters[name].type == op.declared:
            self._parameters[name] = self._take(op)[0]
        return self.parameter(name)

    def _take(self, op: Op) -> tuple[Value, ...]:
        self.ops.append(op)
        return op.results

    def emit(self, kind: type[Op] | str, /, *operands: Value | None, **attributes: AttributeValue) -> tuple[Value, ...]:
        """As any builder does. Raises LocatedError for what no device has room for."""
        results = super().emit(kind, *operands, **attributes)
        if len(self.ops) > OPS:
            told = f"pass {self.by} makes more than {OPS:,} operations of {self.function.name}"
            raise LocatedError("MCT0007", told, self.origin.location, hint=SMALLER)
        type_ = results[0].type
        if type_.is_static and type_.size > ENTRIES and not _of_parameters(self.ops[-1]):
            told = f"`{self.ops[-1].name}` of {self.function.name} gives {type_}: {type_.size:,} entries"
            raise LocatedError("MCT0009", told, self.origin.location, hint=SMALLER)
        return results

    def visit(self, op: Op, rule: Rule) -> None:
        start, self.origin, self._note = len(self.ops), op.origin, ""
        try:
            outcome = rule(op, self)
            if outcome is None and self._carried(op):
                return
            if isinstance(outcome, Refuse):
                self.refuse(op, outcome.why)
                outcome = None
                if self._carried(op):
                    return
            changed = outcome is not None
            values = self.copy(op) if outcome is None else outcome
        except InferenceError as error:
            where = op.origin.location or op.origin.path or self.function.name
            told = f"pass {self.by} broke {op.name} at {where}: {error}"
            raise RewriteError(told, op.origin.location, hint=error.hint) from error
        values = (values,) if isinstance(values, Value) else tuple(values)
        if len(values) != len(op.results):
            raise RewriteError(
                f"pass {self.by} gave {len(values)} values for the {len(op.results)} results of {op.name}",
                op.origin.location,
            )
        if changed:
            self._record(op, self.ops[start:])
        for old, new in zip(op.results, values):
            self._new[old] = new
            name_like(new, old)

    def _record(self, op: Op, made: Sequence[Op]) -> None:
        names = ", ".join(new.name for new in made if not isinstance(new, (ParameterOp, Constant)))
        change = self._note or f"{op.name} became {names or 'nothing'}"
        origin = op.origin.after(self.by, change)
        for new in made:
            if new not in self._old:
                new.origin = origin

    def rebuild(self, rule: Rule, retype: Retype | None = None) -> Function:
        function = self.function
        for value in (*function.inputs, *(state.value for state in function.states)):
            if value not in self._new:
                self._new[value] = self._retyped(value, retype) if retype else value
        concerns = getattr(rule, "concerns", None)  # of a rule that knows without being asked op by op
        for op in function.ops:
            if concerns is None or concerns(op) or not self._carried(op):
                self.visit(op, rule)
        self.origin = Origin()
        return self.rebuilt([State(s.name, self._new[s.value], self._new[s.update]) for s in function.states])

    def _carried(self, op: Op) -> bool:
        """Takes an op over as it is, or on other operands of the same types; False where that can't be.

        Half of what all passes do together, so it goes through an op's values once.
        """
        known, old = self._new, op.operands
        if isinstance(op, ParameterOp):
            parameter = self.program.parameters.get(op.parameter)
            if op.parameter in self._parameters or parameter is None:
                return False
            if parameter.type is not op.declared and parameter.type != op.declared:
                return False
            self._parameters[op.parameter] = op.result
        operands = tuple(map(known.__getitem__, old))
        if operands == old:
            new = self._take(op)
        elif _alike(operands, old):
            new = self._again(op, operands, op.origin)
            for value, again in zip(op.results, new):
                again.name = value.name
        else:
            return False
        known.update(zip(op.results, new))
        return True

    def _retyped(self, value: Value, retype: Retype) -> Value:
        try:
            return Value(retype(value.type), value.name)
        except InferenceError as error:
            told = f"pass {self.by} can't take {value.name} of {self.function.name}: {error}"
            raise RewriteError(told, self.function.origin.location, hint=error.hint) from error

    def bind(self, old: Value, new: Value) -> None:
        """Says what an old value is in the new function: an input or a state before any op is visited."""
        self._new[old] = new

    def rebuilt(self, states: list[State]) -> Function:
        """The old function with the ops emitted so far, and these states."""
        function = self.function
        inputs = [self._new[value] for value in function.inputs]
        results = [(name, self._new[value]) for name, value in function.results]
        return replace(function, inputs=inputs, ops=self.ops, results=results, states=states)


def _alike(operands: Sequence[Value | None], others: Sequence[Value | None]) -> bool:
    """Whether operands have the types of others."""
    for one, other in zip(operands, others):
        if one is not other and (one is None or other is None or one.type is not other.type):
            return False
    return True


def _of_parameters(op: Op) -> bool:
    """Whether all that an op reads are parameters and constants: it is done before anything is called."""
    return all(isinstance(value.owner, Leaf) for value in op.present())


def rewrite(
    program: Program, by: str, rule: Rule, retype: Retype | None = None, context: Context | None = None
) -> Program:
    """Applies `rule` to every op of every function: a Pattern, several as `first_of`, or a function of any op.

    A rule returns new values for the op's results, None to keep the op, or Refuse to keep it and say why.

    `by` is the pass's name, recorded in the history of every op a rule makes. `retype` changes input and state types.
    `context` collects what rules refuse.
    """

    if retype is None and not any(may_fire(rule, function.ops) for function in program.functions.values()):
        return program

    def rebuild(new: Program, function: Function) -> Function:
        if retype is None and not may_fire(rule, function.ops):
            return replace(function)
        return Rewriter(new, function, by, context).rebuild(rule, retype)

    return rewrite_functions(program, rebuild)


def rewrite_functions(program: Program, rebuild: Callable[[Program, Function], Function]) -> Program:
    """Rebuilds every function. `rebuild` takes the new program, whose parameters it may add to, and an old function."""
    new = replace(program, functions={}, parameters=dict(program.parameters))
    for name, function in program.functions.items():
        new.functions[name] = rebuild(new, function)
    return drop_dead(new)


def drop_dead(program: Program) -> Program:
    """Removes ops whose results nobody uses, and parameters that no op names."""
    used: set[str] = set()
    for function in program.functions.values():
        live: set[Value | None] = set(function.outputs)
        unread, reads = live.isdisjoint, live.update
        kept: list[Op] = []
        for op in reversed(function.ops):
            if unread(op.results):
                continue
            kept.append(op)
            if op.operands:
                reads(op.operands)
            elif isinstance(op, ParameterOp):
                used.add(op.parameter)
        kept.reverse()
        function.ops = kept
    program.parameters = {name: p for name, p in program.parameters.items() if name in used}
    return program
