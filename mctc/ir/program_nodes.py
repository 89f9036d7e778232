"""Programs in the textual IR: from the parts of a rule, as lark hands them on, to syntax nodes."""

from __future__ import annotations

from fractions import Fraction

from lark import Token, v_args

from mctc.diagnostics.errors import MctcError
from mctc.ir import syntax as node
from mctc.ir.attribute_value import AttributeValue
from mctc.ir.domain import Choices, Domain, Interval, limited
from mctc.ir.location import Event, Location, Origin
from mctc.ir.program import Initializer, PackedState, Quantization
from mctc.ir.section import Call, Section
from mctc.ir.syntax import IrSyntaxError, Local, ProgramText, Setting
from mctc.ir.types import TensorType
from mctc.ir.value_nodes import ValueNodes, fraction_of, unquoted


def _name(token: Token) -> str:
    """The name behind a sigil."""
    return unquoted(token[1:], token.line or 1)


def _local(token: Token) -> Local:
    return Local(_name(token), token.line or 1, token.column or 1)


@v_args(inline=True)
class ProgramNodes(ValueNodes):
    """One method a rule of text.lark: the program, its items and their statements."""

    # the program and its items

    def program(self, name: Token, *items: node.Item) -> ProgramText:
        return ProgramText(_name(name), items)

    def bare(self, *items: node.Item) -> ProgramText:
        return ProgramText(None, items)

    def dim(self, name: Token, role: Token, rate: Fraction | None) -> node.DimItem:
        return node.DimItem(str(name), str(role), rate, name.line or 1)

    def rate(self, over: Token, under: Token | None) -> Fraction:
        return fraction_of(int(over), under)

    def source(self, name: Token, type_: TensorType, start: Call | None) -> node.SourceItem:
        rule, arguments = start or ("zeros", {})
        return node.SourceItem(_name(name), type_, Initializer(rule, tuple(map(_numeric, arguments.items()))))

    def param(
        self,
        name: Token,
        type_: TensorType | None,
        recipe: node.RecipeText | None,
        quantization: Quantization | None,
        origin: Origin,
    ) -> node.ParameterItem:
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

    def prune(self, *settings: Setting) -> node.SectionItem:
        return node.SectionItem("prune", {s.name: s.value for s in settings})

    def rules(self, *rules: node.RuleText) -> node.RulesItem:
        return node.RulesItem(rules)

    def rule(self, pattern: Token, quantization: Quantization | None, origin: Origin) -> node.RuleText:
        return self.string(pattern), quantization, origin

    def vocabulary(self, function: Token, result: str, valid: Token, padded: Token) -> node.VocabularyItem:
        return node.VocabularyItem(_name(function), result, int(valid), int(padded))

    def instance(self, path: Token, block: str) -> node.InstanceItem:
        return node.InstanceItem(_name(path), block)

    def function(
        self, name: Token, inputs: tuple[node.InputText, ...], origin: Origin, statements: tuple[node.Statement, ...]
    ) -> node.FunctionItem:
        return node.FunctionItem(_name(name), inputs, origin, statements, name.line or 1)

    def inputs(self, *inputs: node.InputText) -> tuple[node.InputText, ...]:
        return inputs

    def input(self, value: Token, type_: TensorType) -> node.InputText:
        return _local(value), type_

    def statements(self, *statements: node.Statement) -> tuple[node.Statement, ...]:
        return statements

    def quantization(self, call: Call) -> Quantization:
        return _quantization(call)

    # recipes

    def leaf(self, name: Token, type_: TensorType | None) -> node.Leaf:
        return node.Leaf(_name(name), type_, name.line or 1)

    def fixed(self, array: node.ArrayText, type_: TensorType | None) -> node.Fixed:
        return node.Fixed(array, type_)

    def derived(
        self, op: Token, arguments: tuple[node.RecipeArgument, ...], result: Token | None, type_: TensorType | None
    ) -> node.Node:
        return node.Node(str(op), arguments, int(result or 0), type_, op.line or 1)

    def arguments(self, *arguments: node.RecipeArgument) -> tuple[node.RecipeArgument, ...]:
        return arguments

    # statements

    def domain(self, value: Token, domain: Domain) -> node.DomainLine:
        return node.DomainLine(_local(value), domain)

    def choices(self, *values: AttributeValue) -> Choices:
        return Choices(tuple(sorted(map(_number, values))))

    def between(self, low: AttributeValue, high: AttributeValue) -> Interval:
        return Interval(_number(low), _number(high))

    def limits(self, *limits: tuple[str, float]) -> Interval:
        return limited(dict(limits))

    def above(self, value: AttributeValue) -> tuple[str, float]:
        return "above", _number(value)

    def at_least(self, value: AttributeValue) -> tuple[str, float]:
        return "at_least", _number(value)

    def below(self, value: AttributeValue) -> tuple[str, float]:
        return "below", _number(value)

    def at_most(self, value: AttributeValue) -> tuple[str, float]:
        return "at_most", _number(value)

    def state(self, value: Token, type_: TensorType, name: Token | None) -> node.StateLine:
        return node.StateLine(_local(value), type_, None if name is None else self.string(name))

    def next(self, state: Token, update: Token) -> node.NextLine:
        return node.NextLine(_local(state), _local(update))

    def packing(
        self, name: str, shape: tuple[int, ...], tensor: str, row: Token, column: Token, pitch: Token | None
    ) -> node.PackedLine:
        apart = None if pitch is None else int(pitch)
        return node.PackedLine(PackedState(name, tensor, int(row), int(column), shape, apart))

    def shape(self, *extents: Token) -> tuple[int, ...]:
        return tuple(map(int, extents))

    def results(self, *results: tuple[str, Local]) -> node.ReturnLine:
        return node.ReturnLine(results)

    def result(self, label: str, value: Token) -> tuple[str, Local]:
        return label, _local(value)

    def op(
        self, results: tuple[Local, ...], body: node.Body, types: tuple[TensorType, ...] | None, origin: Origin
    ) -> node.OpLine:
        return node.OpLine(results, body, types, origin)

    def definitions(self, *names: Token) -> tuple[Local, ...]:
        return tuple(map(_local, names))

    def parameter(self, name: Token) -> node.ParameterText:
        return node.ParameterText(_name(name))

    def constant(self, array: node.ArrayText) -> node.ArrayText:
        return array

    def apply(self, op: Token, *arguments: node.OpArgument) -> node.Application:
        return node.Application(str(op), arguments)

    def local(self, token: Token) -> Local:
        return _local(token)

    def types(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types

    def entries(self, value: AttributeValue, storage: Token | None) -> node.Entries:
        return node.Entries(value, storage)

    def splat(self, value: AttributeValue, storage: Token | None) -> node.Entries:
        return node.Entries(value, storage, splat=True)

    def bytes_(self, text: Token, storage: Token | None) -> node.Encoded:
        return node.Encoded(self.string(text), storage)

    def packed(self, text: Token, storage: Token | None) -> node.Encoded:
        return node.Encoded(self.string(text), storage, packed=True)

    # origins

    def origin(self, *parts: Location | str | Event) -> Origin:
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


def _number(value: AttributeValue) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise IrSyntaxError("the limits of a domain are numbers", 1)
    return float(value)


def _numeric(setting: tuple[str, AttributeValue]) -> tuple[str, float]:
    """An argument of an initialiser, as it is written."""
    name, value = setting
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise IrSyntaxError(f"{name} of an initialiser is a number", 1)
    return name, value


def _quantization(call: Call) -> Quantization:
    scheme, settings = call[0], Section(call[1])
    try:
        bits, group, axis = (settings.count(name) for name in ("bits", "group", "axis"))
        activations = settings.count("activations")
    except MctcError as error:
        raise IrSyntaxError(error.message, 1) from None
    expanded, wide = settings.flag("expanded"), settings.flag("wide")
    return Quantization(scheme, 8 if bits is None else bits, group, axis or 0, expanded, wide, activations)
