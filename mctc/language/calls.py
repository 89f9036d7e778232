"""Calls: of blocks, which run their bodies, of compile-time functions, and of ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mctc.diagnostics.diagnostic import Note
from mctc.diagnostics.near import did_you_mean
from mctc.diagnostics.source import Span
from mctc.ir.declared import registry
from mctc.ir.program import Value
from mctc.language import syntax as s
from mctc.language.arithmetic import UnsuitableError, is_number
from mctc.language.elsewhere import import_hint
from mctc.language.expressions import Evaluator
from mctc.language.failure import fail
from mctc.language.finals import FINAL, final
from mctc.language.functions import FUNCTIONS
from mctc.language.limits import CALLS
from mctc.language.modules import Defined
from mctc.language.opcall import HIDDEN, OpCall
from mctc.language.patterns import Types
from mctc.language.scope import Elements, Frame, Scope, Site
from mctc.language.session import Session
from mctc.language.values import Constant, Given, Single, describe, plain
from mctc.records import dataclass

Returned = list[tuple[Single, Span]]
"""What a body returns, and where."""
RunBody = Callable[[s.Body, Frame], Returned | None]


@dataclass(frozen=True)
class Argument:
    """An argument: its value, and the place it was written."""

    value: Single
    span: Span


class Calls:
    """`run` runs a body and gives what it returns; it is set by the elaborator that owns both."""

    run: RunBody

    def __init__(self, session: Session) -> None:
        self.session = session
        self.evaluator = Evaluator(session, self.call)
        self.types = Types(self.evaluator)
        self.ops = OpCall(session, self.evaluator)

    def call(self, node: s.Call, frame: Frame, target: str | None) -> Given:
        """The value of a call; a list when it has several results."""
        self.session.step(node.span)
        name = _callee(node.callee)
        if name is None:
            raise fail("MCT0060", "only a block or an op can be called", node.callee.span)
        if name.startswith("op."):
            return self._op(name[3:], node, frame)
        called = frame.module.find(name) is not None or name in {*FUNCTIONS, FINAL} or name in registry()
        if not called and frame.scope.find(name) is not None:
            message = f"`{name}` is {describe(frame.scope.get(name))}; only a block or an op can be called"
            raise fail("MCT0060", message, node.callee.span)
        defined = frame.module.find(name)
        if defined is not None:
            return self._block(name, defined, node, frame, target)
        if name == FINAL:
            return self._final(node, frame)
        if name in FUNCTIONS:
            values = [self.evaluator.single(argument.value, frame) for argument in node.arguments]
            if not any(isinstance(value, Value) for value in values) or name not in registry():
                return self._function(name, values, node)
            if name not in HIDDEN:
                return self._op(name, node, frame, values)
        if name in registry() and name not in HIDDEN:
            return self._op(name, node, frame)
        known = [*frame.module.names(), *(registry().keys() - HIDDEN.keys()), *FUNCTIONS, FINAL]
        hint = HIDDEN.get(name) or import_hint(name, frame.module) or did_you_mean(name, known)
        raise fail("MCT0051", f"there is no block or op `{name}`", node.callee.span, hint)

    def _op(self, name: str, node: s.Call, frame: Frame, values: Sequence[Single] | None = None) -> Given:
        if name not in registry() or name in HIDDEN:
            hint = HIDDEN.get(name) or did_you_mean(name, registry().keys() - HIDDEN.keys())
            raise fail("MCT0051", f"there is no op `{name}`", node.callee.span, hint)
        if node.label is not None:
            hint = "only blocks have a place in the parameter path"
            raise fail("MCT0104", f"`{name}` is an op: it can't be named with `as`", node.label.span, hint)
        return self.ops.call(name, node, frame, values)

    def _function(self, name: str, values: Sequence[Single], node: s.Call) -> Constant:
        for argument in node.arguments:
            if argument.name is not None:
                raise fail("MCT0091", f"`{name}` has no argument `{argument.name.text}`", argument.name.span)
        if node.label is not None:
            raise fail("MCT0104", f"`{name}` can't be named with `as`", node.label.span, "only blocks have a path")
        try:
            return FUNCTIONS[name](*values)
        except UnsuitableError as error:
            raise fail(error.code, error.message, node.span, error.hint) from None

    def _final(self, node: s.Call, frame: Frame) -> Value:
        for argument in node.arguments:
            if argument.name is not None and argument.name.text != "state":
                raise fail("MCT0091", f"`{FINAL}` has no argument `{argument.name.text}`", argument.name.span)
        if node.label is not None:
            raise fail("MCT0104", f"`{FINAL}` can't be named with `as`", node.label.span, "only blocks have a path")
        values = [self.evaluator.single(argument.value, frame) for argument in node.arguments]
        return final(values, node.span, self.session, frame)

    def _block(self, name: str, defined: Defined, node: s.Call, frame: Frame, target: str | None) -> Given:
        block = defined.node
        if not isinstance(block, s.Block):
            raise fail("MCT0060", f"`{name}` is a model; only a block can be called", node.callee.span)
        self._no_loop(name, block, node, frame)
        given = self._given(name, block, node, frame)
        inner = self._frame(name, defined, block, node, frame, target, given)
        self._bind(name, block, given, inner, node)
        returned = self.run(block.body, inner)
        if returned is None:
            hint = "a block ends with `return`"
            raise fail(
                "MCT0101", f"block `{name}` returns nothing", block.name.span, hint, Note("called here", node.span)
            )
        if block.results is None:
            values: list[Single] = [_tensors(name, value, span) for value, span in returned]
        else:
            values = [*self.results(name, block.results, returned, inner)]
        return values[0] if len(values) == 1 else values

    def _no_loop(self, name: str, block: s.Block, node: s.Call, frame: Frame) -> None:
        active = [site for site in frame.sites if site.node is block]
        if active:
            start = frame.sites.index(active[0])
            loop = " -> ".join([*(site.name for site in frame.sites[start:]), name])
            hint = "use `repeat` to stack a block"
            raise fail("MCT0058", f"block `{name}` calls itself: {loop}", node.callee.span, hint)
        if len(frame.sites) >= CALLS:
            raise fail("MCT0006", f"blocks are called more than {CALLS} deep", node.callee.span)

    def _given(self, name: str, block: s.Block, node: s.Call, frame: Frame) -> dict[str, Argument]:
        """The arguments by input name."""
        inputs = [item.name.text for item in block.inputs]
        given: dict[str, Argument] = {}
        declared = Note("the block is defined here", block.name.span)
        for index, argument in enumerate(node.arguments):
            if argument.name is not None:
                key, at = argument.name.text, argument.name.span
                if key not in inputs:
                    hint = did_you_mean(key, inputs) or f"it has {', '.join(inputs)}"
                    raise fail("MCT0091", f"`{name}` has no argument `{key}`", at, hint, declared)
            elif index < len(inputs):
                key, at = inputs[index], argument.span
            else:
                message = f"`{name}` takes {len(inputs)} arguments, not {len(node.arguments)}"
                raise fail("MCT0092", message, argument.span, f"it has {', '.join(inputs)}", declared)
            if key in given:
                raise fail("MCT0093", f"`{key}` is given twice", at, None, Note("given here first", given[key].span))
            given[key] = Argument(self.evaluator.single(argument.value, frame), argument.value.span)
        return given

    def _frame(
        self,
        name: str,
        defined: Defined,
        block: s.Block,
        node: s.Call,
        frame: Frame,
        target: str | None,
        given: Mapping[str, Argument],
    ) -> Frame:
        """The frame that the block's body runs in, with its place in the path."""
        if node.label is not None:
            element = node.label.text
            before = frame.elements.claim(element, node.label.span)
            if before is not None:
                note = Note("it is taken here", before)
                hint = "give one of them another name"
                raise fail("MCT0105", f"the path element `{element}` is taken", node.label.span, hint, note)
        else:
            once = target is not None and frame.bound.get(target) == 1
            element = frame.elements.make(target if once and target is not None else name, node.span)
        bound, labels = self.session.facts(block.body, block.inputs)
        arguments = {key: argument.span for key, argument in given.items()}
        sites = (*frame.sites, Site(name, node.span, block, arguments))
        self.session.program.instances[frame.child(element)] = name
        return Frame(defined.module, Scope(), frame.child(element), Elements(labels), bound, labels, sites)

    def _bind(self, name: str, block: s.Block, given: Mapping[str, Argument], inner: Frame, node: s.Call) -> None:
        """Binds the inputs of a block: compile-time values, then the axes and tensors, defaults when asked for."""
        values = [item for item in block.inputs if isinstance(item, s.ValueInput)]
        for value in values:
            self._bind_value(name, value, given.get(value.name.text), inner, node)
        known = {item.name.text for item in block.inputs}
        for item in block.inputs:
            if isinstance(item, s.TensorInput):
                self._bind_tensor(name, item, given.get(item.name.text), inner, node, known)
        for value in values:
            inner.scope.get(value.name.text)

    def _bind_value(self, name: str, item: s.ValueInput, given: Argument | None, inner: Frame, node: s.Call) -> None:
        key = item.name.text
        if given is not None:
            if isinstance(given.value, Value):
                message = f"`{key}` of `{name}` is a compile-time value, not {describe(given.value)}"
                raise fail("MCT0095", message, given.span, None, Note("declared here", item.span))
            inner.scope.values[key] = given.value
        elif item.default is not None:
            default = item.default
            inner.scope.lazy[key] = lambda: self.evaluator.constant(default, inner, "a default")
        else:
            note = Note("declared here", item.span)
            raise fail("MCT0090", f"`{name}` needs `{key}`", node.span, f"add `{key} = ...`", note)

    def _bind_tensor(
        self, name: str, item: s.TensorInput, given: Argument | None, inner: Frame, node: s.Call, known: set[str]
    ) -> None:
        key = item.name.text
        if given is None:
            if item.default is None:
                note = Note("declared here", item.span)
                raise fail("MCT0090", f"`{name}` needs `{key}`", node.span, f"add `{key} = ...`", note)
            given = Argument(self.evaluator.constant(item.default, inner, "a default"), item.default.span)
        if given.value is None and item.default is not None:
            inner.scope.values[key] = None
            return
        if not isinstance(given.value, Value):
            message = f"`{key}` of `{name}` is a tensor, not {describe(given.value)}"
            text = given.span.text
            literal = is_number(plain(given.value)) and text.lstrip("-")[:1].isdigit()
            hint = f"as a tensor, it is `{text} + 0 * x` of an `x` with these axes" if literal else None
            raise fail("MCT0094", message, given.span, hint, Note("declared here", item.span))
        self.types.match(
            item, given.value.type, given.span, inner, lambda n: n not in known and inner.scope.find(n) is None
        )
        inner.scope.values[key] = given.value

    def results(self, name: str, declared: Sequence[s.Result], returned: Returned, frame: Frame) -> list[Value]:
        """The returned tensors, checked against the declared results. Diagnostics are located at the return."""
        values: list[Value] = []
        for value, span in returned:
            if not isinstance(value, Value):
                raise fail("MCT0094", f"`{name}` returns tensors; this is {describe(value)}", span)
            values.append(value)
        if len(declared) != len(values):
            message = f"`{name}` declares {len(declared)} results, but returns {len(values)}"
            raise fail(
                "MCT0100", message, returned[0][1], None, Note("declared here", declared[0].span.to(declared[-1].span))
            )
        for item, value, (_, span) in zip(declared, values, returned, strict=True):
            self.types.check_result(item, value.type, span, frame, "the result")
        return values


def _tensors(name: str, value: Single, span: Span) -> Single:
    """What a block returns whose results have no types: a tensor, or a list of tensors."""
    entries = value if isinstance(value, tuple) else (value,)
    for entry in entries:
        if not isinstance(entry, (Value, tuple)):
            raise fail("MCT0094", f"`{name}` returns tensors; this is {describe(entry)}", span)
        if isinstance(entry, tuple):
            _tensors(name, entry, span)
    return value


def _callee(node: s.Expression) -> str | None:
    if isinstance(node, s.Name):
        return node.text
    if isinstance(node, s.Member) and isinstance(node.value, s.Name) and node.value.text == "op":
        return f"op.{node.name.text}"
    return None
