"""Calls of ops: arguments become operands and attributes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mctc.diagnostics.diagnostic import Note
from mctc.diagnostics.near import did_you_mean
from mctc.diagnostics.source import Span
from mctc.ir.attribute_value import AttributeValue
from mctc.ir.declared import registry
from mctc.ir.fields import OperandField
from mctc.ir.op import REQUIRED, Op
from mctc.ir.ops.elementwise import Binary
from mctc.ir.program import Value
from mctc.ir.time import Recurrent
from mctc.ir.types import DType
from mctc.language import syntax as s
from mctc.language.arithmetic import is_number
from mctc.language.expressions import Evaluator
from mctc.language.failure import fail
from mctc.language.file_constants import NAMES, constant_of_file
from mctc.language.finals import Ending
from mctc.language.scope import Frame
from mctc.language.session import Session
from mctc.language.values import Given, Measure, Quantity, Single, describe, plain, whole
from mctc.language.written_constants import FROM_FILE, written_constant


def _number(value: Given) -> float | None:
    """A compile-time number, if it is one."""
    known = None if isinstance(value, (list, Value)) else plain(value)
    return float(known) if is_number(known) else None


_SCAN = "write `scan h: f32[B, T, width] = start { h = ... }`: a statement, behind which `h` holds all its frames"
HIDDEN = {  # what `param` and `scan` write, and how
    "parameter": "write `param weight: f32[out, in]`",
    "scan": _SCAN,
    "scan_state": _SCAN,
}


class OpCall:
    """Positional arguments fill the operands, then the attributes in their declared order."""

    def __init__(self, session: Session, evaluator: Evaluator) -> None:
        self.session, self.evaluator = session, evaluator

    def call(self, name: str, node: s.Call, frame: Frame, values: Sequence[Single] | None = None) -> Given:
        """The result, or a list of results. States behind the result of a recurrent op are what `final` gives.

        values: of the arguments, where they have been evaluated: a block in them is expanded once.
        """
        if name == "constant" and any(argument.name and argument.name.text == "file" for argument in node.arguments):
            return self._of_file(node, frame)
        definition = registry()[name]
        declared = definition.fields
        names = [operand.name for operand in declared if not operand.variadic]
        operands: list[Value | None] = [None] * len(names)
        rest: list[Value] = []
        attributes: dict[str, AttributeValue] = {}
        numbers: dict[int, float] = {}  # operands that are numbers beside a tensor
        where: dict[str, Span] = {}
        free, position = [*definition.defaults], 0
        for index, argument in enumerate(node.arguments):
            value = self.evaluator.evaluate(argument.value, frame) if values is None else values[index]
            key = argument.name.text if argument.name else None
            number = _number(value) if issubclass(definition, Binary) else None
            fills = number is not None or value is None or isinstance(value, (Value, list))
            if key is None and position < len(names) and fills:
                key = names[position]
            elif key is None and declared and declared[-1].variadic and position >= len(names):
                rest += self._tensors(name, value, argument)
                continue
            elif key is None:
                key = self._attribute(name, definition, value, position, free, argument)
            position += argument.name is None
            if key in where:
                raise fail(
                    "MCT0093", f"`{key}` is given twice", argument.span, None, Note("given here first", where[key])
                )
            where[key] = argument.span
            if key in names and number is not None:
                numbers[names.index(key)] = number
            elif key in names:
                place = names.index(key)
                operands[place] = self._tensor(name, declared[place], value, argument, frame)
            elif key in definition.defaults:
                attributes[key] = self._setting(name, key, value, argument.value.span)
            else:
                self._unknown(name, definition, key, argument)
            free = [other for other in free if other not in where]
        for like in [operand for operand in operands if operand is not None][:1]:
            for place, number in numbers.items():
                operands[place] = self.session.number(number, like, where[names[place]], frame)
        if name == "constant" and "value" in attributes:
            attributes["value"] = written_constant(attributes["value"], attributes.get("dtype"), where["value"])
        self._complete(name, definition, [*operands, *rest], attributes, node)
        results = self.session.emit(name, [*operands, *rest], attributes, node.span, frame, where)
        made = self.session.builder.ops[-1]
        if definition.outside_training and not made.acts():
            self.session.builder.ops.remove(made)
            return made.operand(definition.outside_training)
        if len(results) > 1 and isinstance(time := made.time, Recurrent):
            self.session.endings[results[0]] = {name: Ending(results[index]) for name, index in time.states}
            return results[0]
        return results[0] if len(results) == 1 else [*results]

    def _of_file(self, node: s.Call, frame: Frame) -> Value:
        """A constant whose numbers a file holds."""
        given: dict[str, tuple[Single, Span]] = {}
        for argument in node.arguments:
            key = argument.name.text if argument.name else NAMES[0]
            if key not in NAMES:
                hint = did_you_mean(key, NAMES) or f"from a file it takes {', '.join(NAMES)}"
                raise fail("MCT0091", f"`constant` of a file has no argument `{key}`", argument.span, hint)
            if key in given:
                raise fail("MCT0093", f"`{key}` is given twice", argument.span)
            given[key] = self.evaluator.single(argument.value, frame), argument.value.span
        return self.session.emit("constant", [], constant_of_file(given, node.span, frame.module), node.span, frame)[0]

    def _attribute(
        self, name: str, definition: type[Op], value: Given, position: int, free: list[str], argument: s.Argument
    ) -> str:
        """The attribute that a positional argument means."""
        declared = definition.fields
        if position < len(declared) and not declared[position].optional and not declared[position].variadic:
            message = f"`{declared[position].name}` of `{name}` is a tensor, not {describe(value)}"
            raise fail("MCT0094", message, argument.span)
        if isinstance(value, Value) or not free:
            known = [operand.name for operand in declared] + [*definition.defaults]
            message = f"`{name}` has no place for {describe(value)}"
            raise fail("MCT0092", message, argument.span, f"it takes {', '.join(known)}")
        return free[0]

    def _tensor(
        self, name: str, declared: OperandField, value: Given, argument: s.Argument, frame: Frame
    ) -> Value | None:
        """The tensor of an operand. Ops take masks as numbers: one that is true or false, or whole, becomes 1 or 0."""
        if isinstance(value, list):
            message = f"this call has {len(value)} results where one is needed"
            raise fail("MCT0100", message, argument.value.span, "bind them first: `a, b = ...`")
        if value is not None and not isinstance(value, Value):
            raise fail("MCT0094", f"`{declared.name}` of `{name}` is a tensor, not {describe(value)}", argument.span)
        if declared.marks and value is not None and not value.type.dtype.is_float:
            return self.session.emit("cast", [value], {"dtype": DType.F32.value}, argument.span, frame)[0]
        return value

    def _tensors(self, name: str, value: Given, argument: s.Argument) -> list[Value]:
        tensors = []
        for item in value if isinstance(value, (tuple, list)) else [value]:
            if not isinstance(item, Value):
                raise fail("MCT0094", f"`{name}` takes tensors, not {describe(item)}", argument.span)
            tensors.append(item)
        return tensors

    def _setting(self, name: str, key: str, value: Given, span: Span) -> AttributeValue:
        """A compile-time value as the op takes it."""
        if isinstance(value, (Value, list)):
            message = f"`{key}` of `{name}` is a compile-time value, not {describe(value)}"
            raise fail("MCT0095", message, span)
        if key == "axis" and isinstance(value, Measure) and value.role is not None:
            return value.role.value
        value = plain(value)
        if isinstance(value, tuple):
            return tuple(self._setting(name, "", item, span) for item in value)
        if isinstance(value, Fraction):
            return whole(value) if value.denominator == 1 else float(value)
        if isinstance(value, Measure):
            return value.extent
        if isinstance(value, Quantity):
            raise fail("MCT0095", f"`{key}` of `{name}` is a plain number, not {describe(value)}", span)
        return value

    def _unknown(self, name: str, definition: type[Op], key: str, argument: s.Argument) -> None:
        known = [operand.name for operand in definition.fields] + [*definition.defaults]
        hint = did_you_mean(key, known) or f"it takes {', '.join(known)}"
        hint = FROM_FILE.format("...") if name == "constant" and key in NAMES else hint
        raise fail("MCT0091", f"`{name}` has no argument `{key}`", argument.span, hint)

    def _complete(
        self,
        name: str,
        definition: type[Op],
        operands: Sequence[Value | None],
        attributes: dict[str, AttributeValue],
        node: s.Call,
    ) -> None:
        for index, operand in enumerate(definition.fields):
            missing = index >= len(operands) or operands[index] is None
            if missing and not operand.optional:
                raise fail("MCT0090", f"`{name}` needs `{operand.name}`", node.span)
        for key, default in definition.defaults.items():
            if default is REQUIRED and key not in attributes:
                raise fail("MCT0090", f"`{name}` needs `{key}`", node.span, f"add `{key} = ...`")
