"""Evaluates expressions: compile-time values are computed, tensors become ops."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NoReturn

from mctc.diagnostics.near import did_you_mean
from mctc.ir.attribute_value import Attributes
from mctc.ir.program import Value
from mctc.language import syntax as s
from mctc.language.arithmetic import UnsuitableError, binary, bounded, is_number, limited, negative, truth
from mctc.language.comparisons import COMPARISONS, compared
from mctc.language.dispatch import Dispatch
from mctc.language.failure import SilentError, fail
from mctc.language.functions import FUNCTIONS
from mctc.language.scope import Frame
from mctc.language.session import Session
from mctc.language.values import (
    UNITS,
    Constant,
    Given,
    Poison,
    Quantity,
    SharedParameter,
    Single,
    describe,
    plain,
    show,
)

EXPONENT = 30  # of a quantity
WORDS = {"true": True, "false": False, "none": None}
TENSOR_OPS = {"+": "add", "-": "sub", "*": "mul", "/": "div", "@": "matmul"}


class Evaluator:
    """`call` evaluates calls; it is given from outside because calls run bodies, which evaluate expressions."""

    def __init__(self, session: Session, call: Callable[[s.Call, Frame, str | None], Given]) -> None:
        self.session, self.call = session, call
        self.table = table = Dispatch[Given]()
        table.of(s.Name, self._name)
        table.of(s.Number, self._number)
        table.of(s.Word, lambda node, frame: WORDS[node.text])
        table.of(s.String, lambda node, frame: node.value)
        table.of(s.Quantity, self._quantity)
        table.of(s.Group, lambda node, frame: self.evaluate(node.inner, frame))
        table.of(s.ListDisplay, self._list)
        table.of(s.Unary, self._unary)
        table.of(s.Binary, self._binary)
        table.of(s.Choice, self._choice)
        table.of(s.Call, lambda node, frame: self.call(node, frame, None))
        table.of(s.Item, self._item)
        table.of(s.Member, self._member)

    def evaluate(self, node: s.Expression, frame: Frame, target: str | None = None) -> Given:
        """The value: a compile-time value, a tensor, or a list of tensors when a call has several results.

        `target` is the name that the value is bound to directly, which names the instance of a call.
        Raises FaultError, or SilentError when something in it failed before.
        """
        while isinstance(node, s.Group):
            node = node.inner
        if isinstance(node, s.Call):
            return self.call(node, frame, target)
        return self.table[type(node)](node, frame)

    def single(self, node: s.Expression, frame: Frame, target: str | None = None) -> Single:
        """`evaluate` where one value is needed."""
        value = self.evaluate(node, frame, target)
        if isinstance(value, list):
            message = f"this call has {len(value)} results where one is needed"
            raise fail("MCT0100", message, node.span, "bind them first: `a, b = ...`")
        return value

    def constant(self, node: s.Expression, frame: Frame, what: str) -> Constant:
        """`single` where a compile-time value is needed."""
        value = self.single(node, frame)
        if isinstance(value, Value):
            message = f"{what} must be known when the model is compiled; this is {describe(value)}"
            hint = (
                "on tensors, `where(mask, a, b)` chooses entry by entry; masks are joined by `*`, `maximum` and `1 - m`"
            )
            raise fail("MCT0095", message, node.span, hint if what == "a condition" else None)
        return value

    def condition(self, node: s.Expression, frame: Frame) -> bool:
        value = self.constant(node, frame, "a condition")
        try:
            return truth(value)
        except UnsuitableError as error:
            raise fail(error.code, error.message, node.span, error.hint) from None

    def whole(self, node: s.Expression, frame: Frame, what: str, hint: str | None = None) -> int:
        value = plain(self.constant(node, frame, what))
        if isinstance(value, bool) or not isinstance(value, int):
            raise fail("MCT0072", f"{what} must be a whole number, not {describe(value)}", node.span, hint)
        return value

    def _name(self, node: s.Name, frame: Frame) -> Single:
        if frame.scope.find(node.text) is not None:
            value = frame.scope.get(node.text)
            if isinstance(value, Poison):
                raise SilentError
            if isinstance(value, SharedParameter):
                return self.session.builder.parameter(value.name)
            return value
        defined = frame.module.find(node.text)
        if defined is not None or node.text in FUNCTIONS:
            raise fail("MCT0060", f"`{node.text}` is a block, not a value", node.span, f"call it: `{node.text}(...)`")
        if frame.bound.get(node.text):
            raise fail("MCT0050", f"`{node.text}` has no value yet", node.span, "a name is bound before it is used")
        hint = did_you_mean(node.text, frame.scope.names())
        raise fail("MCT0050", f"there is no `{node.text}` here", node.span, hint)

    def _number(self, node: s.Number, frame: Frame) -> int | float:
        try:
            return number(node.text)
        except UnsuitableError as error:
            raise fail(error.code, error.message, node.span, error.hint) from None

    def _list(self, node: s.ListDisplay, frame: Frame) -> Constant:
        try:
            return bounded(tuple(self.single(item, frame) for item in node.items))
        except UnsuitableError as error:
            raise fail(error.code, error.message, node.span, error.hint) from None

    def _quantity(self, node: s.Quantity, frame: Frame) -> Quantity:
        if node.unit.text not in UNITS:
            known = ", ".join(UNITS)
            raise fail("MCT0079", f"there is no unit `{node.unit.text}`", node.unit.span, f"the units are {known}")
        unit, factor = UNITS[node.unit.text]
        digits = node.text.replace("_", "").lower()
        if abs(int(digits.partition("e")[2] or 0)) > EXPONENT:
            raise fail("MCT0008", "this quantity is out of range", node.span)
        return Quantity(Fraction(digits) * factor, unit)

    def _unary(self, node: s.Unary, frame: Frame) -> Single:
        if node.operator == "not":
            return not self.condition(node.operand, frame)
        value = self.single(node.operand, frame)
        if isinstance(value, Value):
            return self.session.emit("neg", [value], {}, node.span, frame)[0]
        try:
            return negative(value)
        except UnsuitableError as error:
            raise fail(error.code, error.message, node.span, error.hint) from None

    def _binary(self, node: s.Binary, frame: Frame) -> Single:
        if node.operator in ("and", "or"):
            met = self.condition(node.left, frame)
            return met if met == (node.operator == "or") else self.condition(node.right, frame)
        left, right = self.single(node.left, frame), self.single(node.right, frame)
        if isinstance(left, Value) or isinstance(right, Value):
            return self._tensors(node, left, right, frame)
        try:
            return binary(node.operator, left, right)
        except UnsuitableError as error:
            raise fail(error.code, error.message, node.span, error.hint) from None

    def _tensors(self, node: s.Binary, left: Single, right: Single, frame: Frame) -> Single:
        operator, left, right = node.operator, plain(left), plain(right)
        if operator in ("==", "!=") and (left is None or right is None):
            return operator == "!="
        if isinstance(left, Value) and isinstance(right, Value) and operator in TENSOR_OPS:
            return self.session.emit(TENSOR_OPS[operator], [left, right], {}, node.span, frame)[0]
        if operator in COMPARISONS:
            return compared(node, left, right, frame, self.session)
        tensor: Value | None = None
        op: str | None = None
        attributes: Attributes = {}
        if isinstance(left, Value) and is_number(right):
            tensor = left
            op, attributes = _with_number(operator, float(right))
        elif isinstance(right, Value) and is_number(left):
            tensor = right
            if operator == "/":
                operator, tensor = "*", self.session.emit("reciprocal", [right], {}, node.span, frame)[0]
            op, attributes = _number_with(operator, float(left))
        if tensor is None or op is None:
            if operator == "/" and is_number(right):  # any other number has a quotient
                raise fail("MCT0071", f"{describe(left)} / 0 divides by zero", node.span)
            message = f"`{node.operator}` does not work between {describe(left)} and {describe(right)}"
            raise fail("MCT0070", message, node.span, _instead(operator, right))
        return self.session.emit(op, [tensor], attributes, node.span, frame)[0]

    def _choice(self, node: s.Choice, frame: Frame) -> Given:
        return self.evaluate(node.chosen if self.condition(node.condition, frame) else node.other, frame)

    def _item(self, node: s.Item, frame: Frame) -> Single:
        value = self.evaluate(node.value, frame)
        if not isinstance(value, (tuple, list)):
            hint = "use `slice` to cut a tensor" if isinstance(value, Value) else None
            raise fail("MCT0077", f"only a list has entries; this is {describe(value)}", node.value.span, hint)
        index = self.whole(node.index, frame, "an index")
        if not -len(value) <= index < len(value):
            raise fail("MCT0077", f"entry {index} of a list of {len(value)}", node.index.span, "entries count from 0")
        return value[index]

    def _member(self, node: s.Member, frame: Frame) -> NoReturn:
        hint = "`op.name(...)` calls an op; nothing else has members"
        raise fail("MCT0060", f"`.{node.name.text}` means nothing here", node.span, hint)


def number(text: str) -> int | float:
    """A literal: whole numbers are exact, a point or an exponent makes a float. Raises UnsuitableError."""
    digits = text.replace("_", "")
    value = int(digits) if digits.isdigit() else float(digits)
    limited(value)
    return value


def _with_number(operator: str, right: float) -> tuple[str | None, Attributes]:
    """tensor operator number as (op, attributes)."""
    if operator in ("+", "-"):
        return "scale", {"offset": right if operator == "+" else -right}
    if operator == "*" or (operator == "/" and right != 0):
        return "scale", {"factor": right if operator == "*" else 1 / right}
    if operator == "**" and right in (2.0, 0.5):
        return ("square" if right == 2.0 else "sqrt"), {}
    return None, {}


def _instead(operator: str, right: Single) -> str:
    """What can be written in place of what does not work."""
    if operator == "**" and is_number(right):
        return "tensors take ** 2 and ** 0.5; a third power is `x * x ** 2`, any other `exp(p * log(x))` of x > 0"
    return "tensors take + - * / @, comparisons, and ** 2 or ** 0.5"


def _number_with(operator: str, left: float) -> tuple[str | None, Attributes]:
    """number operator tensor as (op, attributes); a division has been turned into a product before."""
    if operator in ("+", "-"):
        return "scale", {"factor": 1.0 if operator == "+" else -1.0, "offset": left}
    return ("scale", {"factor": left}) if operator == "*" else (None, {})


def interpolate(text: str, value_of: Callable[[str], object]) -> str:
    """`text` with each {name} replaced by its value."""
    import re

    return re.sub(r"\{([A-Za-z_]\w*)\}", lambda match: show(value_of(match.group(1))), text)
