"""Parser callbacks: from the children of one grammar rule to one node of the syntax tree.

Children are tokens and nodes in the order of the text, all of them, so the first and the last give the node's span.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from mctc.diagnostics.source import Span
from mctc.language import syntax as s
from mctc.language.tokens import Token

Children = list[Any]
"""Tokens, nodes and tuples of them."""
T = TypeVar("T")


def _span(children: Children) -> Span:
    first: Span = children[0].span
    last: Span = children[-1].span
    return first if first is last else Span(first.source, first.start, last.end)


def _name(token: Token) -> s.Identifier:
    return s.Identifier(token.span, token.text)


def _nodes(children: Children) -> tuple[Any, ...]:
    """The children that are nodes, without tokens."""
    return tuple(child for child in children if not isinstance(child, Token))


def _after(children: Children, type_: str) -> s.Expression | None:
    """The child after the first token of `type_`, or None when there is none."""
    place = _place(children, type_)
    found: s.Expression | None = None if place is None else children[place + 1]
    return found


def _place(children: Children, type_: str) -> int | None:
    return next((i for i, child in enumerate(children) if isinstance(child, Token) and child.type == type_), None)


def _find(children: Children, kind: type[T]) -> T | None:
    return next((child for child in children if type(child) is kind), None)


class Inputs(tuple[s.Input, ...]):
    """The inputs of a header, told apart from its results."""


class Results(tuple[s.Result, ...]):
    """The results of a header."""


class Arguments(NamedTuple):
    """A bracketed argument list."""

    span: Span
    items: tuple[s.Argument, ...]


class TreeBuilder:
    """One method for each rule of grammar.lark, named after it."""

    def import_(self, c: Children) -> s.Import:
        return s.Import(_span(c), s.String(c[1].span, c[1].text))

    def model(self, c: Children) -> s.Model:
        inputs = _find(c, Inputs)
        return s.Model(_span(c), _name(c[1]), None if inputs is None else tuple(inputs), c[-1])

    def variant(self, c: Children) -> s.Variant:
        return s.Variant(_span(c), _name(c[1]), _name(c[3]), c[4].items)

    def block(self, c: Children) -> s.Block:
        results = _find(c, Results)
        return s.Block(_span(c), _name(c[1]), tuple(c[2]), None if results is None else tuple(results), c[-1])

    def component(self, c: Children) -> s.Component:
        results = _find(c, Results)
        return s.Component(_span(c), _name(c[1]), tuple(c[2]), None if results is None else tuple(results), c[-1])

    def section(self, c: Children) -> s.Section:
        return s.Section(_span(c), _name(c[0]), c[1])

    def dim(self, c: Children) -> s.Dim:
        return s.Dim(_span(c), _name(c[1]), _name(c[3]), _after(c, "AT"), _after(c, "EQUAL"))

    def parameter(self, c: Children) -> s.Parameter:
        return s.Parameter(_span(c), _name(c[1]), c[3], _after(c, "EQUAL"))

    def assign(self, c: Children) -> s.Assign:
        return s.Assign(_span([c[0][0], c[-1]]), c[0], c[2])

    def targets(self, c: Children) -> tuple[s.Identifier, ...]:
        return tuple(_name(token) for token in c if token.type == "NAME")

    def rule(self, c: Children) -> s.Rule:
        return s.Rule(_span(c), c[0], c[2])

    def repeat(self, c: Children) -> s.Repeat:
        index = _name(c[1]) if isinstance(c[1], Token) else None
        count, place = _find_count(c), _place(c, "AS")
        label = None if place is None else _name(c[place + 1])
        if label is None and isinstance(count, s.Call) and count.label is not None:
            # `repeat f(n) as blocks` reads as a named call to an LALR parser
            label, call = count.label, count
            count = s.Call(Span(call.span.source, call.span.start, label.span.start), call.callee, call.arguments, None)
            return s.Repeat(_span(c), index, count, label, c[-1])
        return s.Repeat(_span(c), index, count, label, c[-1])

    def scan(self, c: Children) -> s.Scan:
        return s.Scan(_span(c), tuple(child for child in c if isinstance(child, s.ScanState)), c[-1])

    def held(self, c: Children) -> s.ScanState:
        return s.ScanState(_span(c), _name(c[0]), c[2], _after(c, "EQUAL"))

    def if_(self, c: Children) -> s.If:
        nodes = list(_nodes(c))
        otherwise = nodes.pop() if len(nodes) % 2 else None
        return s.If(_span(c), tuple(zip(nodes[::2], nodes[1::2], strict=False)), otherwise)

    def assert_(self, c: Children) -> s.Assert:
        return s.Assert(_span(c), c[1], c[3] if len(c) > 2 else None)

    def return_(self, c: Children) -> s.Return:
        return s.Return(_span(c), _nodes(c))

    def body(self, c: Children) -> s.Body:
        return s.Body(_span(c), _nodes(c))

    def inputs(self, c: Children) -> Inputs:
        return Inputs(_nodes(c))

    def tensor_input(self, c: Children) -> s.TensorInput:
        return s.TensorInput(_span(c), _name(c[0]), c[2], _after(c, "EQUAL"))

    def value_input(self, c: Children) -> s.ValueInput:
        return s.ValueInput(_span(c), _name(c[0]), _after(c, "EQUAL"))

    def results(self, c: Children) -> Results:
        return Results(_nodes(c))

    def result(self, c: Children) -> s.Result:
        return s.Result(_span(c), _name(c[0]) if len(c) > 1 else None, c[-1])

    def type(self, c: Children) -> s.Type:
        closed = next(i for i, child in enumerate(c) if isinstance(child, Token) and child.type == "CLOSE_BRACKET")
        domain = c[-1] if closed + 1 < len(c) else None
        return s.Type(_span(c), _name(c[0]), _nodes(c[:closed]), domain)

    def limits(self, c: Children) -> s.Limits:
        return s.Limits(_span(c), _nodes(c))

    def limit(self, c: Children) -> s.Limit:
        return s.Limit(_span(c), c[0].text, c[1])

    def one_of(self, c: Children) -> s.OneOf:
        return s.OneOf(_span(c), _nodes(c))

    def between(self, c: Children) -> s.Between:
        return s.Between(_span(c), *_nodes(c))

    def spread(self, c: Children) -> s.Spread:
        return s.Spread(_span(c))

    def path(self, c: Children) -> s.Path:
        return s.Path(_span([c[0][0], c[-1][-1]]), tuple(_element(e) for e in c if not isinstance(e, Token)))

    def element(self, c: Children) -> Children:
        return c

    def choice(self, c: Children) -> s.Choice:
        return s.Choice(_span(c), c[0], c[2], c[4])

    def either(self, c: Children) -> s.Expression:
        tree: s.Expression = c[0]
        for operator, right in zip(c[1::2], c[2::2], strict=False):
            tree = s.Binary(tree.span.to(right.span), operator.text, tree, right)
        return tree

    both = either

    def binary(self, c: Children) -> s.Binary:
        return s.Binary(_span(c), c[1].text, c[0], c[2])

    def unary(self, c: Children) -> s.Unary:
        return s.Unary(_span(c), c[0].text, c[1])

    def call(self, c: Children) -> s.Call:
        return s.Call(_span(c), c[0], c[1].items, _name(c[3]) if len(c) > 2 else None)

    def item(self, c: Children) -> s.Item:
        return s.Item(_span(c), c[0], c[2])

    def member(self, c: Children) -> s.Member:
        return s.Member(_span(c), c[0], _name(c[2]))

    def arguments(self, c: Children) -> Arguments:
        return Arguments(_span(c), _nodes(c))

    def argument(self, c: Children) -> s.Argument:
        return s.Argument(_span(c), _name(c[0]) if len(c) > 1 else None, c[-1])

    def name(self, c: Children) -> s.Name:
        return s.Name(c[0].span, c[0].text)

    def number(self, c: Children) -> s.Number:
        return s.Number(c[0].span, c[0].text)

    def quantity(self, c: Children) -> s.Quantity:
        return s.Quantity(_span(c), c[0].text, _name(c[1]))

    def string(self, c: Children) -> s.String:
        return s.String(c[0].span, c[0].text)

    def word(self, c: Children) -> s.Word:
        return s.Word(c[0].span, c[0].text)

    def group(self, c: Children) -> s.Group:
        return s.Group(_span(c), c[1])

    def list(self, c: Children) -> s.ListDisplay:
        return s.ListDisplay(_span(c), _nodes(c))

    def start(self, c: Children) -> tuple[s.Statement, ...]:
        return _nodes(c)


def _find_count(c: Children) -> s.Expression:
    """The first node among the children: the count of a repeat."""
    found: s.Expression = next(child for child in c if not isinstance(child, Token))
    return found


def _element(tokens: Children) -> tuple[str, ...]:
    return tuple(token.text for token in tokens if token.type in ("NAME", "NUMBER", "STAR", "POWER"))
