"""Text to syntax nodes, with lark."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, VisitError

from mctc.ir import syntax as node
from mctc.ir.dims import Extent, ExtentError
from mctc.ir.domain import Choices, Domain, Interval, limited
from mctc.ir.location import Event, Location, Origin
from mctc.ir.program import Initializer, PackedState, Quantization
from mctc.ir.syntax import IrSyntaxError, Local, ProgramText, Setting
from mctc.ir.types import Axis, DType, Role, TensorType

NESTING = 100
NUMBER_BITS = 256  # of the coefficients of an extent
TERMS = 100  # of an extent
BRACKET = re.compile(r'"(?:\\.|[^"\\\n])*"|#[^\n]*|[(\[{)\]}]')
READABLE = {  # what the grammar's terminals are called in messages
    "GLOBAL": "a @name",
    "LOCAL": "a %value",
    "STRING": "a string",
    "DTYPE": "a type",
    "ROLE": "a role",
    "FLOAT": "a number",
    "INT": "a whole number",
    "NAME": "a name",
    "DOTTED": "a name",
    "$END": "the end of the text",
}


def parse(text: str) -> ProgramText:
    """Syntax nodes of a text. Raises IrSyntaxError with the place and what was expected there."""
    _check_nesting(text)
    try:
        result: Any = _lark().parse(text)
    except UnexpectedInput as error:
        raise _located(error, text) from None
    except VisitError as error:
        if isinstance(error.orig_exc, IrSyntaxError):
            raise error.orig_exc from None
        raise
    assert isinstance(result, ProgramText)
    return result


def _check_nesting(text: str) -> None:
    depth = 0
    for match in BRACKET.finditer(text):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(match.group(), 0)
        if depth > NESTING:
            start = text.rfind("\n", 0, match.start()) + 1
            line = text.count("\n", 0, start) + 1
            raise IrSyntaxError(f"more than {NESTING} brackets inside one another", line, match.start() - start + 1)


@lru_cache(maxsize=1)
def _lark() -> Lark:
    grammar = Path(__file__).with_name("text.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", maybe_placeholders=True, transformer=_Nodes())


def _located(error: UnexpectedInput, text: str) -> IrSyntaxError:
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        found, line, column, expected = (
            repr(str(error.token)),
            error.line,
            error.column,
            error.accepts or error.expected,
        )
    elif isinstance(error, UnexpectedCharacters):
        found, line, column = repr(text[error.pos_in_stream or 0]), error.line, error.column
        expected = set(error.allowed or ())
    else:
        lines = text.splitlines() or [""]
        found, line, column = "the end of the text", len(lines), len(lines[-1]) + 1
        expected = set(error.expected) if isinstance(error, (UnexpectedEOF, UnexpectedToken)) else set()
    wanted = sorted(map(_readable, expected))
    return IrSyntaxError(f"expected {' or '.join(wanted) or 'something else'}, found {found}", line, column)


def _readable(terminal: str) -> str:
    if terminal in READABLE:
        return READABLE[terminal]
    pattern = next((t.pattern.value for t in _lark().terminals if t.name == terminal), terminal)
    return repr(pattern)


def _unquoted(token: str, line: int) -> str:
    try:
        text = json.loads(token) if token.startswith('"') else str(token)
    except ValueError as error:
        raise IrSyntaxError(f"{token} is no string", line) from error
    return str(text)


def _name(token: Token) -> str:
    """The name behind a sigil."""
    return _unquoted(token[1:], token.line or 1)


def _local(token: Token) -> Local:
    return Local(_name(token), token.line or 1, token.column or 1)


@v_args(inline=True)
class _Nodes(Transformer[Token, Any]):
    """One method a rule of text.lark."""

    # the program and its items

    def program(self, name: Token, *items: Any) -> ProgramText:
        return ProgramText(_name(name), items)

    def bare(self, *items: Any) -> ProgramText:
        return ProgramText(None, items)

    def dim(self, name: Token, role: Token, rate: Fraction | None) -> node.DimItem:
        return node.DimItem(str(name), str(role), rate, name.line or 1)

    def rate(self, over: Token, under: Token | None) -> Fraction:
        return _fraction(int(over), under)

    def source(self, name: Token, type_: TensorType, start: tuple[str, dict[str, Any]] | None) -> node.SourceItem:
        rule, arguments = start or ("zeros", {})
        return node.SourceItem(_name(name), type_, Initializer(rule, tuple(arguments.items())))

    def param(self, name: Token, type_: Any, recipe: Any, quantization: Any, origin: Origin) -> node.ParameterItem:
        return node.ParameterItem(_name(name), type_, recipe, quantization, origin, name.line or 1)

    def train(self, *settings: Setting) -> node.SectionItem:
        return node.SectionItem("train", {s.name: s.value for s in settings})

    def stream(self, *settings: Setting) -> node.SectionItem:
        return node.SectionItem("stream", {s.name: s.value for s in settings})

    def utterance(self, *settings: Setting) -> node.SectionItem:
        return node.SectionItem("utterance", {s.name: s.value for s in settings})

    def audio(self, *settings: Setting) -> node.SectionItem:
        return node.SectionItem("audio", {s.name: s.value for s in settings})

    def tokens(self, *settings: Setting) -> node.SectionItem:
        return node.SectionItem("tokens", {s.name: s.value for s in settings})

    def passes(self, *settings: Setting) -> node.SectionItem:
        return node.SectionItem("passes", {s.name: s.value for s in settings})

    def rules(self, *rules: Any) -> node.RulesItem:
        return node.RulesItem(rules)

    def rule(self, pattern: Token, quantization: Any, origin: Origin) -> tuple[str, Any, Origin]:
        return self.string(pattern), quantization, origin

    def vocabulary(self, function: Token, result: str, valid: Token, padded: Token) -> node.VocabularyItem:
        return node.VocabularyItem(_name(function), result, int(valid), int(padded))

    def instance(self, path: Token, block: str) -> node.InstanceItem:
        return node.InstanceItem(_name(path), block)

    def function(self, name: Token, *parts: Any) -> node.FunctionItem:
        split = next(i for i, part in enumerate(parts) if isinstance(part, Origin))
        return node.FunctionItem(_name(name), parts[:split], parts[split], parts[split + 1 :], name.line or 1)

    def input(self, value: Token, type_: TensorType) -> tuple[Local, TensorType]:
        return _local(value), type_

    def quantization(self, call: tuple[str, dict[str, Any]]) -> Quantization:
        return _quantization(call)

    # recipes

    def leaf(self, name: Token, type_: TensorType | None) -> node.Leaf:
        return node.Leaf(_name(name), type_, name.line or 1)

    def fixed(self, array: node.ArrayText, type_: TensorType | None) -> node.Node:
        return node.Node("constant", (array,), 0, type_, 0)

    def derived(self, op: Token, *parts: Any) -> node.Node:
        *arguments, result, type_ = parts
        return node.Node(str(op), tuple(arguments), int(result or 0), type_, op.line or 1)

    # statements

    def domain(self, value: Token, domain: Domain) -> node.DomainLine:
        return node.DomainLine(_local(value), domain)

    def choices(self, *values: Any) -> Choices:
        return Choices(tuple(sorted(map(_number, values))))

    def between(self, low: Any, high: Any) -> Interval:
        return Interval(_number(low), _number(high))

    def limits(self, *limits: tuple[str, float]) -> Interval:
        return limited(dict(limits))

    def above(self, value: Any) -> tuple[str, float]:
        return "above", _number(value)

    def at_least(self, value: Any) -> tuple[str, float]:
        return "at_least", _number(value)

    def below(self, value: Any) -> tuple[str, float]:
        return "below", _number(value)

    def at_most(self, value: Any) -> tuple[str, float]:
        return "at_most", _number(value)

    def state(self, value: Token, type_: TensorType, name: Token | None) -> node.StateLine:
        return node.StateLine(_local(value), type_, None if name is None else self.string(name))

    def next(self, state: Token, update: Token) -> node.NextLine:
        return node.NextLine(_local(state), _local(update))

    def packing(self, name: str, shape: tuple[int, ...], tensor: str, row: Token, column: Token) -> node.PackedLine:
        return node.PackedLine(PackedState(name, tensor, int(row), int(column), shape))

    def shape(self, *extents: Token) -> tuple[int, ...]:
        return tuple(map(int, extents))

    def results(self, *results: tuple[str, Local]) -> node.ReturnLine:
        return node.ReturnLine(results)

    def result(self, label: str, value: Token) -> tuple[str, Local]:
        return label, _local(value)

    def op(self, *parts: Any) -> node.OpLine:
        *results, (name, arguments), types, origin = parts
        return node.OpLine(tuple(_local(token) for token in results), name, arguments, types, origin)

    def parameter(self, name: Token) -> tuple[str, tuple[Any, ...]]:
        return "parameter", (_name(name),)

    def constant(self, array: node.ArrayText) -> tuple[str, tuple[Any, ...]]:
        return "constant", (array,)

    def apply(self, op: Token, *arguments: Any) -> tuple[str, tuple[Any, ...]]:
        return str(op), arguments

    def local(self, token: Token) -> Local:
        return _local(token)

    def types(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types

    def entries(self, value: Any, storage: Token | None) -> node.ArrayText:
        return node.ArrayText("entries", value, storage)

    def splat(self, value: Any, storage: Token | None) -> node.ArrayText:
        return node.ArrayText("splat", value, storage)

    def bytes_(self, text: Token, storage: Token | None) -> node.ArrayText:
        return node.ArrayText("bytes", self.string(text), storage)

    def packed(self, text: Token, storage: Token | None) -> node.ArrayText:
        return node.ArrayText("packed", self.string(text), storage)

    # origins

    def origin(self, *parts: Any) -> Origin:
        location = next((part for part in parts if isinstance(part, Location)), None)
        path = next((part for part in parts if isinstance(part, str)), "")
        return Origin(location, path, tuple(part for part in parts if isinstance(part, Event)))

    def place(self, file: Token, line: Token, column: Token, end: Token | None, end_column: Token | None) -> Location:
        return Location(self.string(file), int(line), int(column), int(end or 0), int(end_column or 0))

    def path(self, label: str) -> str:
        return label

    def event(self, by: str, change: Token) -> Event:
        return Event(by, self.string(change))

    def label(self, token: Token) -> str:
        return self.string(token)

    # values

    def call(self, name: Token, *settings: Setting) -> tuple[str, dict[str, Any]]:
        return str(name), {s.name: s.value for s in settings}

    def setting(self, name: Token, value: Any) -> Setting:
        return Setting(str(name), value)

    def quoted_setting(self, name: Token, value: Any) -> Setting:
        return Setting(self.string(name), value)

    def nothing(self) -> None:
        return None

    def true(self) -> bool:
        return True

    def false(self) -> bool:
        return False

    def whole(self, digits: Token) -> int:
        return int(digits)

    def negative(self, digits: Token) -> int:
        return -int(digits)

    def fraction(self, over: int, under: Token) -> Fraction:
        return _fraction(over, under)

    def number(self, token: Token) -> float:
        return float(token)

    def word(self, token: Token) -> str:
        return str(token)

    def string(self, token: Token) -> str:
        return _unquoted(token, token.line or 1)

    def measure(self, extent: Extent) -> Extent:
        return extent

    def axis(self, role: Token, extent: Extent) -> tuple[str, int | Extent]:
        return str(role), extent.value if _whole(extent) else extent

    def list(self, *values: Any) -> tuple[Any, ...]:
        return values

    def mapping(self, *settings: Setting) -> dict[str, Any]:
        return {s.name: s.value for s in settings}

    # types and extents

    def type(self, dtype: Token, *parts: Any) -> TensorType:
        *axes, bound = parts
        return TensorType(DType(str(dtype)), tuple(axes), bound)

    def role_axis(self, role: Token, extent: Extent) -> Axis:
        return Axis(Role(str(role)), extent)

    def plain_axis(self, extent: Extent) -> Axis:
        return Axis(Role.PLAIN, extent)

    def integer(self, digits: Token) -> Extent:
        return Extent.of(int(digits))

    def symbol(self, name: Token) -> Extent:
        return Extent.of(str(name))

    def negated(self, extent: Extent) -> Extent:
        return extent * -1

    def plus(self, left: Extent, right: Extent) -> Extent:
        return _bounded(left + right)

    def minus(self, left: Extent, right: Extent) -> Extent:
        return _bounded(left - right)

    def times(self, left: Extent, right: Extent) -> Extent:
        return _bounded(left * right)

    def over(self, left: Extent, right: Extent) -> Extent:
        try:
            return _bounded(left / right)
        except (ExtentError, ZeroDivisionError) as error:
            raise IrSyntaxError(f"{left} cannot be divided by {right}", 1) from error


def _bounded(extent: Extent) -> Extent:
    """The extent. Raises IrSyntaxError for one that no program has: a product of sums grows without a limit."""
    for powers, factor in extent.terms:
        if len(powers) > TERMS or max(abs(factor.numerator), factor.denominator).bit_length() > NUMBER_BITS:
            raise IrSyntaxError("an extent of numbers that are too large", 1)
    if len(extent.terms) > TERMS:
        raise IrSyntaxError(f"an extent of more than {TERMS} terms", 1)
    return extent


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise IrSyntaxError("the limits of a domain are numbers", 1)
    return float(value)


def _fraction(over: int, under: Token | None) -> Fraction:
    if under is not None and int(under) == 0:
        raise IrSyntaxError("a fraction over 0", under.line or 1, under.column or 1)
    return Fraction(over, 1 if under is None else int(under))


def _whole(extent: Extent) -> bool:
    return extent.is_static and (not extent.terms or extent.terms[0][1].denominator == 1)


def _quantization(call: tuple[str, dict[str, Any]]) -> Quantization:
    scheme, arguments = call
    return Quantization(
        scheme, arguments.get("bits", 8), arguments.get("group"), arguments.get("axis", 0),
        arguments.get("expanded", False), arguments.get("wide", False),
    )  # fmt: skip
