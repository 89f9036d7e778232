"""Looks up names without elaborating: in blocks that nothing calls yet, and for names that are never used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mctc.diagnostics.diagnostic import Diagnostic, Severity
from mctc.diagnostics.near import did_you_mean
from mctc.ir.declared import registry
from mctc.language import syntax as s
from mctc.language.elsewhere import import_hint
from mctc.language.functions import FUNCTIONS
from mctc.language.modules import Module
from mctc.language.scope import bindings
from mctc.language.walk import children, walk

INTERPOLATED = re.compile(r"\{([A-Za-z_]\w*)\}")


def unknown_names(module: Module) -> Iterator[Diagnostic]:
    """Names that the blocks of a file use but that nothing binds."""
    for defined in module.own.values():
        if isinstance(defined.node, s.Block):
            yield from _unknown(defined.node, module)


def unused_names(module: Module) -> Iterator[Diagnostic]:
    """Names that a file binds but never uses."""
    for defined in module.own.values():
        node = defined.node
        if isinstance(node, s.Block):
            yield from _unused(node, node.inputs, [node.body])
        elif isinstance(node, s.Model):
            components = [part for part in node.body.statements if isinstance(part, s.Component)]
            yield from _unused(node, node.inputs or (), [node.body])
            for component in components:
                yield from _unused(component, (), [component.body])


def _unknown(block: s.Block, module: Module) -> Iterator[Diagnostic]:
    known = {item.name.text for item in block.inputs} | set(bindings(block.body))
    for item in block.inputs:
        if isinstance(item, s.TensorInput):
            known |= {axis.text for axis in item.type.axes if isinstance(axis, s.Name)}
    for node in walk(block.body):
        if isinstance(node, s.Parameter):
            known.add(node.name.text)
        elif isinstance(node, s.Repeat) and node.index is not None:
            known.add(node.index.text)
    for node in _values(block, module):
        if node.text not in known:
            known.add(node.text)  # once is enough
            hint = did_you_mean(node.text, known - {node.text})
            yield Diagnostic("MCT0050", f"there is no `{node.text}` here", node.span, hint)
    yield from _callees(block, module, known)


def _values(node: s.Node, module: Module) -> Iterator[s.Name]:
    """The names in a node that stand for values."""
    if isinstance(node, s.Name):
        if module.find(node.text) is None:
            yield node
        return
    for child in children(node):
        if isinstance(node, s.Call) and child is node.callee:
            continue
        yield from _values(child, module)


def _callees(block: s.Block, module: Module, known: set[str]) -> Iterator[Diagnostic]:
    rules = {id(node.initial) for node in walk(block.body) if isinstance(node, s.Parameter)}
    for node in walk(block.body):
        if not isinstance(node, s.Call) or id(node) in rules:
            continue
        callee = node.callee
        if isinstance(callee, s.Member) and isinstance(callee.value, s.Name) and callee.value.text == "op":
            if callee.name.text not in registry():
                hint = did_you_mean(callee.name.text, registry())
                yield Diagnostic("MCT0051", f"there is no op `{callee.name.text}`", callee.span, hint)
        elif isinstance(callee, s.Name) and callee.text not in known:
            every = [*module.names(), *registry(), *FUNCTIONS]
            if callee.text not in every:
                message = f"there is no block or op `{callee.text}`"
                hint = import_hint(callee.text, module) or did_you_mean(callee.text, every)
                yield Diagnostic("MCT0051", message, callee.span, hint)


def _unused(node: s.Node, inputs: Iterable[s.Input], bodies: list[s.Body]) -> Iterator[Diagnostic]:
    used = {part.text for part in walk(node) if isinstance(part, s.Name)}
    for part in walk(node):
        if isinstance(part, s.String):
            used |= set(INTERPOLATED.findall(part.text))
    bound = [item.name for item in inputs]
    for body in bodies:
        bound += _bound(body)
    seen: set[str] = set()
    for name in bound:
        if name.text in used or name.text.startswith("_") or name.text in seen:
            continue
        seen.add(name.text)
        hint = "remove it, or begin its name with `_`"
        yield Diagnostic("MCT0059", f"`{name.text}` is never used", name.span, hint, severity=Severity.WARNING)


def _bound(node: s.Node) -> Iterator[s.Identifier]:
    """The names that a body binds, without those of components and sections inside it."""
    for child in children(node):
        if isinstance(child, s.Assign):
            yield from child.targets
        elif isinstance(child, s.Parameter):
            yield child.name
        elif isinstance(child, s.Scan):
            yield from (held.name for held in child.states)
            yield from _bound(child)
        elif isinstance(child, (s.Repeat, s.If, s.Body)):
            yield from _bound(child)
