"""Runs the statements of components and blocks."""

from __future__ import annotations

from mctc.diagnostics.diagnostic import Diagnostic
from mctc.diagnostics.source import Span
from mctc.ir.program import Value
from mctc.language import syntax as s
from mctc.language.arithmetic import UnsuitableError, bounded
from mctc.language.calls import Calls, Returned
from mctc.language.dispatch import Dispatch
from mctc.language.expressions import interpolate
from mctc.language.failure import FaultError, LimitError, SilentError, fail
from mctc.language.limits import OPS, STEPS
from mctc.language.parameters import Parameters
from mctc.language.scans import Scans
from mctc.language.scope import Frame
from mctc.language.session import ASSERTED, Session
from mctc.language.values import POISON, Single, describe


class Bodies:
    """Statements in order. One that fails is reported and its names are poisoned, so that the rest is still checked."""

    def __init__(self, session: Session, calls: Calls) -> None:
        self.session, self.calls = session, calls
        self.parameters = Parameters(session, calls)
        calls.run = self.run
        self.table = table = Dispatch[Returned | None]()
        table.of(s.Assign, self._assign)
        table.of(s.Parameter, self._parameter)
        table.of(s.Repeat, self._repeat)
        table.of(s.Scan, Scans(session, calls).run)
        table.of(s.If, self._if)
        table.of(s.Assert, self._assert)
        table.of(s.Return, self._return)

    def run(self, body: s.Body, frame: Frame) -> Returned | None:
        """What the body returns: (value, place) pairs, or None without a return. Raises SilentError if that failed."""
        failed = False
        for index, statement in enumerate(body.statements):
            self.session.step(statement.span)
            try:
                returned = self._statement(statement, frame)
            except LimitError:
                raise
            except (FaultError, SilentError) as error:
                if isinstance(error, FaultError):
                    self.session.report(error.diagnostic, frame.sites)
                poison(statement, frame)
                if isinstance(statement, s.Assert) and frame.sites:
                    raise SilentError from None  # a block says itself what it can't work without
                failed = failed or isinstance(statement, (s.Return, s.If))
                continue
            if returned is not None:
                if isinstance(statement, s.Return) and index + 1 < len(body.statements):
                    span = _first_line(body.statements[index + 1].span)
                    late = Diagnostic("MCT0102", "this is never reached: the body returns before it", span, "remove it")
                    self.session.report(late, frame.sites)
                return returned
        if failed:
            raise SilentError
        return None

    def _statement(self, statement: s.Statement, frame: Frame) -> Returned | None:
        run = self.table.get(type(statement))
        if run is None:
            what = type(statement).__name__.lower()
            hint = "a body holds bindings, param, repeat, scan, if, assert and return"
            if isinstance(statement, s.Section):
                what = statement.name.text
                hint = "a scan names its states: `scan h: f32[B, T, width] { h = ... }`" if what == "scan" else hint
            raise fail("MCT0045", f"`{what}` can't stand here", _first_line(statement.span), hint)
        return run(statement, frame)

    def _assign(self, node: s.Assign, frame: Frame) -> None:
        target = node.targets[0].text if len(node.targets) == 1 else None
        for name in node.targets:
            if frame.scope.is_dim(name.text):
                raise fail("MCT0109", f"`{name.text}` is a dimension and can't be bound again", name.span)
        value = self.calls.evaluator.evaluate(node.value, frame, target)
        if target is not None:
            frame.scope.values[target] = value = _listed(value, node.value.span) if isinstance(value, list) else value
            _name(value, target)
            return
        if not isinstance(value, (list, tuple)) or len(value) != len(node.targets):
            count = f"{len(value)} values" if isinstance(value, (list, tuple)) else describe(value)
            hint = "bind each result: `a, b = ...`, or all to one name, as a list: `parts = ...`, `parts[0]`"
            raise fail("MCT0100", f"{len(node.targets)} names for {count}", node.value.span, hint)
        for name, item in zip(node.targets, value, strict=True):
            frame.scope.values[name.text] = item
            _name(item, name.text)

    def _parameter(self, node: s.Parameter, frame: Frame) -> None:
        name = self.parameters.declare(node, frame)
        frame.scope.values[node.name.text] = self.session.builder.parameter(name)

    def _repeat(self, node: s.Repeat, frame: Frame) -> Returned | None:
        hint = "`scan` has a body for each frame; `repeat` counts to a number that is known when the model is compiled"
        count = self.calls.evaluator.whole(node.count, frame, "a number of repetitions", hint)
        if count < 0:
            raise fail("MCT0074", f"a body can't be repeated {count} times", node.count.span)
        if count > STEPS:
            self._too_many(node, count)
        element = self._element(node, frame)
        before = len(self.session.diagnostics), self.session.steps, self.session.ops
        for index in range(count):
            self.session.step(node.span)
            if node.index is not None:
                frame.scope.values[node.index.text] = index
            returned = self.run(node.body, frame.inside(f"{element}.{index}", self.session.facts(node.body)[1]))
            if returned is not None:
                raise fail("MCT0102", "a repeated body can't return", returned[0][1], "return behind the repeat")
            if len(self.session.diagnostics) > before[0]:
                raise SilentError
            if index == 0:
                steps, ops = self.session.steps - before[1], self.session.ops - before[2]
                if self.session.steps + steps * (count - 1) > STEPS or self.session.ops + ops * (count - 1) > OPS:
                    self._too_many(node, count)
        return None

    def _too_many(self, node: s.Repeat, count: int) -> None:
        message = f"repeating this {count:,} times makes the program too large"
        hint = f"a program has at most {OPS:,} ops"
        raise LimitError(Diagnostic("MCT0007", message, node.count.span, hint))

    def _element(self, node: s.Repeat, frame: Frame) -> str:
        if node.label is None:
            return frame.elements.make("layers", node.span)
        if frame.elements.claim(node.label.text, node.label.span) is not None:
            message = f"the path element `{node.label.text}` is taken"
            raise fail("MCT0105", message, node.label.span, "give one of them another name")
        return node.label.text

    def _if(self, node: s.If, frame: Frame) -> Returned | None:
        for condition, body in node.branches:
            if self.calls.evaluator.condition(condition, frame):
                return self.run(body, frame)
        return self.run(node.otherwise, frame) if node.otherwise is not None else None

    def _assert(self, node: s.Assert, frame: Frame) -> None:
        if self.calls.evaluator.condition(node.condition, frame):
            return
        message = f"`{node.condition.span.text}` does not hold"
        if node.message is not None:
            text = self.calls.evaluator.constant(node.message, frame, "a message")
            if not isinstance(text, str):
                raise fail("MCT0070", f"the message of an assert is a string, not {describe(text)}", node.message.span)
            message = interpolate(text, lambda name: self._interpolated(name, node, frame))
        raise fail(ASSERTED, message, node.condition.span)

    def _interpolated(self, name: str, node: s.Assert, frame: Frame) -> Single:
        assert node.message is not None
        return self.calls.evaluator.single(s.Name(node.message.span, name), frame)

    def _return(self, node: s.Return, frame: Frame) -> Returned:
        if len(node.values) == 1:
            value = self.calls.evaluator.evaluate(node.values[0], frame)
            values = value if isinstance(value, list) else [value]
            return [(item, node.values[0].span) for item in values]
        return [(self.calls.evaluator.single(value, frame), value.span) for value in node.values]


def _name(value: Single, name: str) -> None:
    """What the spec first calls the result of an op stays with it, for readers of what is made from it."""
    if isinstance(value, Value) and value.owner is not None and not value.name:
        value.name = name


def _listed(values: list[Single], span: Span) -> Single:
    """Several results as what one name holds."""
    try:
        return bounded(tuple(values))
    except UnsuitableError as error:
        raise fail(error.code, error.message, span, error.hint) from None


def poison(statement: s.Statement, frame: Frame) -> None:
    """Marks the names that a failed statement should have bound."""
    names: list[str] = []
    if isinstance(statement, s.Assign):
        names = [target.text for target in statement.targets]
    elif isinstance(statement, s.Parameter):
        names = [statement.name.text]
    elif isinstance(statement, s.Dim):
        frame.scope.values.setdefault(statement.name.text, POISON)
    elif isinstance(statement, s.Repeat):
        poison_all(statement.body, frame)
    elif isinstance(statement, s.Scan):
        names = [held.name.text for held in statement.states]
        poison_all(statement.body, frame)
    elif isinstance(statement, s.If):
        for _, body in statement.branches:
            poison_all(body, frame)
        if statement.otherwise is not None:
            poison_all(statement.otherwise, frame)
    for name in names:
        if not frame.scope.is_dim(name):
            frame.scope.values[name] = POISON


def poison_all(body: s.Body, frame: Frame) -> None:
    for statement in body.statements:
        poison(statement, frame)


def _first_line(span: Span) -> Span:
    end = span.source.text.find("\n", span.start, span.end)
    return span if end < 0 else Span(span.source, span.start, end)
