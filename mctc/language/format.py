"""Prints a syntax tree in the one layout. Comments and single blank lines stay where the author put them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.diagnostics.source import SourceFile, Span
from mctc.language import syntax as s
from mctc.language.layout import BLANK, HARD, SOFT, SPACE, Choose, Doc, Group, Line, Nest, joined, render
from mctc.language.parser import parse_all
from mctc.language.tokens import Comment

N = TypeVar("N", bound=s.Node)


def format_source(text: str, name: str = "<text>") -> str:
    """The text in the one layout; formatting twice changes nothing more. Raises DiagnosticError on a syntax error."""
    source = SourceFile(name, text)
    parsed = parse_all(source)
    if parsed.problems:
        raise DiagnosticError(parsed.problems)
    printer = Printer(source, parsed.comments)
    return render(printer.statements(parsed.file.statements, len(text), HARD)).lstrip("\n")


class Printer:
    """Walks the tree in the order of the text and takes each comment as it comes to its place."""

    def __init__(self, source: SourceFile, comments: Iterable[Comment]) -> None:
        self.source, self.comments = source, deque(comments)

    # Comments

    def _before(self, offset: int) -> list[Comment]:
        taken = []
        while self.comments and self.comments[0].span.start < offset:
            taken.append(self.comments.popleft())
        return taken

    def _trailing(self, end: int, limit: int) -> str:
        """The comment that ends the line of `end`, if it stands before `limit`."""
        if not self.comments or self.comments[0].span.start >= limit or self.comments[0].alone:
            return ""
        if "\n" in self.source.text[end : self.comments[0].span.start]:
            return ""
        return "  " + self.comments.popleft().text

    def _gap(self, end: int, start: int) -> Line:
        """The break between two statements: with a blank line where the author left one."""
        return BLANK if self.source.text.count("\n", end, start) > 1 else HARD

    # Statements

    def statements(self, statements: Sequence[s.Statement], end: int, between: Doc, first: int = 0) -> Doc:
        """All statements up to offset `end`, with the comments before, behind and after them."""
        out: list[Doc] = []
        previous = first

        def add(doc: Doc, span: Span, through: int) -> None:
            nonlocal previous
            if out:
                out.append(self._gap(previous, span.start) if between is HARD else between)
            out.append(doc)
            previous = max(through, previous)

        for index, statement in enumerate(statements):
            limit = statements[index + 1].span.start if index + 1 < len(statements) else end
            for comment in self._before(statement.span.start):
                add(comment.text, comment.span, comment.span.end)
            doc = self.statement(statement)
            for comment in self._before(statement.span.end):
                add(comment.text, comment.span, statement.span.start)
            tail = self._trailing(statement.span.end, limit)
            add((doc, tail) if tail else doc, statement.span, statement.span.end)
        for comment in self._before(end):
            add(comment.text, comment.span, comment.span.end)
        return tuple(out)

    def body(self, body: s.Body) -> Doc:
        """`{ ... }`, on one line when the author wrote it so and it fits."""
        open_, close = body.span.start, body.span.end - 1
        if "\n" not in body.span.text:
            if not body.statements:
                return "{}"
            inner = self.statements(body.statements, close, (Choose("", ";"), SPACE), open_)
            return Group(("{", Nest((SPACE, inner)), SPACE, "}"), yields=True)
        first = body.statements[0].span.start if body.statements else close
        head = self._trailing(open_ + 1, first)
        inner = self.statements(body.statements, close, HARD, open_ + 1)
        if not inner and not head:
            return "{}"
        return ("{", head, Nest((HARD, inner)) if inner else "", HARD, "}")

    def statement(self, node: s.Statement) -> Doc:
        printer: Callable[[s.Statement], Doc] = getattr(self, f"_{type(node).__name__.lower()}")
        return printer(node)

    def _import(self, node: s.Import) -> Doc:
        return f"import {node.path.text}"

    def _model(self, node: s.Model) -> Doc:
        inputs = "" if node.inputs is None else self._inputs(node.inputs, node.body)
        return (f"model {node.name.text}", inputs, " ", self.body(node.body))

    def _variant(self, node: s.Variant) -> Doc:
        return (f"model {node.name.text} = {node.base.text}", self._arguments(node.arguments, node.span.end - 1))

    def _block(self, node: s.Block) -> Doc:
        return self._header("block", node)

    def _component(self, node: s.Component) -> Doc:
        return self._header("component", node)

    def _header(self, keyword: str, node: s.Block | s.Component) -> Doc:
        inputs = self._inputs(node.inputs, node.body)
        results: Doc = ""
        if node.results is not None:
            results = (" -> ", self._results(node.results, node.body))
        return (f"{keyword} {node.name.text}", inputs, results, " ", self.body(node.body))

    def _inputs(self, inputs: Sequence[s.Input], body: s.Body) -> Doc:
        return self._list("(", inputs, ")", self._input, body.span.start)

    def _input(self, node: s.Input) -> Doc:
        default: Doc = "" if node.default is None else (" = ", self.expression(node.default))
        if isinstance(node, s.TensorInput):
            return (f"{node.name.text}: ", self._type(node.type), default)
        return (node.name.text, default)

    def _results(self, results: Sequence[s.Result], body: s.Body) -> Doc:
        if len(results) == 1:
            return self._result(results[0])
        return self._list("(", results, ")", self._result, body.span.start)

    def _result(self, node: s.Result) -> Doc:
        return (f"{node.name.text}: " if node.name else "", self._type(node.type))

    def _section(self, node: s.Section) -> Doc:
        return (f"{node.name.text} ", self.body(node.body))

    def _dim(self, node: s.Dim) -> Doc:
        rate: Doc = "" if node.rate is None else (" @ ", self.expression(node.rate))
        extent: Doc = "" if node.extent is None else (" = ", self.expression(node.extent))
        return (f"dim {node.name.text}: {node.role.text}", rate, extent)

    def _parameter(self, node: s.Parameter) -> Doc:
        initial: Doc = "" if node.initial is None else (" = ", self.expression(node.initial))
        return (f"param {node.name.text}: ", self._type(node.type), initial)

    def _assign(self, node: s.Assign) -> Doc:
        return (", ".join(target.text for target in node.targets) + " = ", self.expression(node.value))

    def _rule(self, node: s.Rule) -> Doc:
        return (f"{node.path}: ", self.expression(node.value))

    def _repeat(self, node: s.Repeat) -> Doc:
        index = f"{node.index.text} < " if node.index else ""
        label = f" as {node.label.text}" if node.label else ""
        return (f"repeat {index}", self.expression(node.count), f"{label} ", self.body(node.body))

    def _scan(self, node: s.Scan) -> Doc:
        return ("scan ", joined([self._held(held) for held in node.states], ", "), " ", self.body(node.body))

    def _held(self, node: s.ScanState) -> Doc:
        start: Doc = "" if node.start is None else (" = ", self.expression(node.start))
        return (f"{node.name.text}: ", self._type(node.type), start)

    def _if(self, node: s.If) -> Doc:
        out: list[Doc] = []
        for condition, body in node.branches:
            out += [" else if " if out else "if ", self.expression(condition), " ", self.body(body)]
        if node.otherwise is not None:
            out += [" else ", self.body(node.otherwise)]
        return tuple(out)

    def _assert(self, node: s.Assert) -> Doc:
        message: Doc = "" if node.message is None else (", ", self.expression(node.message))
        return ("assert ", self.expression(node.condition), message)

    def _return(self, node: s.Return) -> Doc:
        return ("return ", joined([self.expression(value) for value in node.values], ", "))

    # Types and expressions

    def _type(self, node: s.Type) -> Doc:
        domain: Doc = "" if node.domain is None else (" ", self._domain(node.domain))
        end = node.span.end if node.domain is None else node.domain.span.start
        axes = self._list("[", node.axes, "]", lambda axis: self.expression(axis, tight=True), end)
        return (node.dtype.text, axes, domain)

    def _domain(self, node: s.Domain) -> Doc:
        if isinstance(node, s.Limits):
            return joined([(f"{limit.operator} ", self.expression(limit.value)) for limit in node.limits], " and ")
        if isinstance(node, s.OneOf):
            return ("in ", self._list("{", node.values, "}", self.expression, node.span.end))
        return ("in ", self._list("[", (node.low, node.high), "]", self.expression, node.span.end))

    def _list(self, opener: str, items: Sequence[N], closer: str, printed: Callable[[N], Doc], end: int) -> Doc:
        """Items in brackets, all on one line or one a line; comments inside keep it broken."""
        out: list[Doc] = []
        for index, item in enumerate(items):
            last = index + 1 == len(items)
            if out:
                out.append(SPACE)
            for comment in self._before(item.span.start):
                out += [comment.text, HARD]
            out.append(printed(item))
            out.append(Choose(",", "") if last else ",")
            out.append(self._trailing(item.span.end, end if last else items[index + 1].span.start))
        for comment in self._before(end) if items else ():
            out += [HARD, comment.text]
        return self._bracketed(opener, out, closer)

    @staticmethod
    def _bracketed(opener: str, inner: list[Doc], closer: str) -> Doc:
        if not inner:
            return opener + closer
        return Group((opener, Nest((SOFT, tuple(inner))), SOFT, closer))

    def _arguments(self, arguments: Sequence[s.Argument], end: int) -> Doc:
        return self._list("(", arguments, ")", self._argument, end)

    def _argument(self, node: s.Argument) -> Doc:
        return (f"{node.name.text} = " if node.name else "", self.expression(node.value))

    def expression(self, node: s.Expression, tight: bool = False) -> Doc:
        """`tight` leaves no spaces around `/`: extents are written T/4."""
        if isinstance(node, s.Binary):
            gap = "" if tight and node.operator == "/" else " "
            left, right = self.expression(node.left, tight), self.expression(node.right, tight)
            return (left, f"{gap}{node.operator}{gap}", right)
        if isinstance(node, (s.Name, s.Number, s.String, s.Word)):
            return node.text
        if isinstance(node, s.Quantity):
            return f"{node.text} {node.unit.text}"
        if isinstance(node, s.Call):
            label = f" as {node.label.text}" if node.label else ""
            end = node.label.span.start if node.label else node.span.end
            return (self.expression(node.callee), self._arguments(node.arguments, end), label)
        if isinstance(node, s.Unary):
            return ("not " if node.operator == "not" else node.operator, self.expression(node.operand, tight))
        if isinstance(node, s.Group):
            return ("(", self.expression(node.inner, tight), ")")
        if isinstance(node, s.ListDisplay):
            return self._list("[", node.items, "]", self.expression, node.span.end)
        return self._rare(node, tight)

    def _rare(self, node: s.Expression, tight: bool) -> Doc:
        if isinstance(node, s.Choice):
            parts = [self.expression(part, tight) for part in (node.chosen, node.condition, node.other)]
            return (parts[0], " if ", parts[1], " else ", parts[2])
        if isinstance(node, s.Item):
            return (self.expression(node.value), "[", self.expression(node.index), "]")
        if isinstance(node, s.Member):
            return (self.expression(node.value), ".", node.name.text)
        return "..."
