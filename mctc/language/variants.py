"""Which model of a file is meant, and the values it runs with: variants and overrides."""

from __future__ import annotations

from collections.abc import Mapping

from mctc.diagnostics.diagnostic import Diagnostic, Note
from mctc.diagnostics.near import did_you_mean, listing
from mctc.diagnostics.source import Span
from mctc.ir.program import Program
from mctc.language import syntax as s
from mctc.language.calls import Calls
from mctc.language.failure import FaultError, SilentError, fail
from mctc.language.modules import Defined, Module
from mctc.language.overrides import override
from mctc.language.scope import Elements, Frame, Scope
from mctc.language.session import Session
from mctc.language.values import Constant, Defines
from mctc.records import dataclass


@dataclass(frozen=True)
class Chosen:
    """A model to elaborate: `name` is the variant's, `values` override the model's defaults."""

    name: str
    model: s.Model
    module: Module
    values: Defines


def choose(module: Module, model: str | None, defines: Defines) -> Chosen:
    """The model called `model`, else the last of the file. Raises FaultError."""
    models = module.models()
    if not models:
        hint = "`mctc check` checks a file of blocks; a build needs `model name { ... }`"
        message = f"{module.source.name} holds no model"
        raise FaultError(Diagnostic("MCT0057", message, None, hint, file=module.source.name))
    defined = models[-1]
    if model is not None:
        named = [candidate for candidate in models if candidate.node.name.text == model]
        if not named:
            names = [candidate.node.name.text for candidate in models]
            hint = did_you_mean(model, names) or f"it holds {listing(names)}"
            message = f"{module.source.name} holds no model `{model}`"
            raise FaultError(Diagnostic("MCT0054", message, None, hint, file=module.source.name))
        defined = named[0]
    chosen = resolve(defined)
    return Chosen(chosen.name, chosen.model, chosen.module, {**chosen.values, **_defines(chosen, defines)})


def resolve(defined: Defined) -> Chosen:
    """A model, or the model that a variant leads to with the values of all variants on the way. Raises FaultError."""
    values: dict[str, Constant] = {}
    trail = [defined]
    while isinstance(defined.node, s.Variant):
        node = defined.node
        given = _arguments(defined, node)
        base = defined.module.find(node.base.text)
        if base is None or isinstance(base.node, s.Block):
            known = [name for name in defined.module.names() if not _is_block(defined.module, name)]
            hint = did_you_mean(node.base.text, known)
            raise fail("MCT0054", f"there is no model `{node.base.text}`", node.base.span, hint)
        if any(base.node is before.node for before in trail):
            loop = " -> ".join([before.node.name.text for before in trail] + [base.node.name.text])
            raise fail("MCT0058", f"the model is a variant of itself: {loop}", node.base.span, "base it on another one")
        _check_names(resolve_model(base, trail), given, node)
        values = {**{name: value for name, (value, _) in given.items()}, **values}
        trail.append(base)
        defined = base
    assert isinstance(defined.node, s.Model)
    return Chosen(trail[0].node.name.text, defined.node, defined.module, values)


def resolve_model(defined: Defined, trail: list[Defined]) -> s.Model | None:
    """The model at the end of a chain of variants, or None when the chain is broken or closed."""
    seen = {id(before.node) for before in trail}
    found: Defined | None = defined
    while found is not None and isinstance(found.node, s.Variant) and id(found.node) not in seen:
        seen.add(id(found.node))
        found = found.module.find(found.node.base.text)
    return found.node if found is not None and isinstance(found.node, s.Model) else None


def inputs(model: s.Model) -> list[str]:
    return [item.name.text for item in model.inputs or ()]


def _is_block(module: Module, name: str) -> bool:
    defined = module.find(name)
    return defined is not None and isinstance(defined.node, s.Block)


def _arguments(defined: Defined, node: s.Variant) -> dict[str, tuple[Constant, Span]]:
    calls = Calls(Session(Program("")))
    frame = Frame(defined.module, Scope(), "", Elements())
    given: dict[str, tuple[Constant, Span]] = {}
    for argument in node.arguments:
        if argument.name is None:
            raise fail("MCT0092", "a variant names what it sets", argument.span, "`width = 144`")
        if argument.name.text in given:
            note = Note("given here first", given[argument.name.text][1])
            raise fail("MCT0093", f"`{argument.name.text}` is given twice", argument.span, None, note)
        try:
            value = calls.evaluator.constant(argument.value, frame, "a value of a model")
        except SilentError:
            continue
        given[argument.name.text] = value, argument.name.span
    return given


def _check_names(model: s.Model | None, given: Mapping[str, tuple[Constant, Span]], node: s.Variant) -> None:
    if model is None:
        return
    for name, (_, span) in given.items():
        if name not in inputs(model):
            hint = did_you_mean(name, inputs(model)) or _has(model)
            raise fail("MCT0055", f"`{node.base.text}` has no value `{name}`", span, hint)


def _has(model: s.Model) -> str:
    return f"it has {listing(inputs(model))}" if inputs(model) else "it has none"


def _defines(chosen: Chosen, defines: Defines) -> Defines:
    """The overrides of the command line as values. Raises FaultError."""
    known = inputs(chosen.model)
    values: dict[str, Constant] = {}
    for name, value in defines.items():
        if name not in known:
            hint = did_you_mean(name, known) or _has(chosen.model)
            message = f"-D {name}: model `{chosen.name}` has no value `{name}`"
            raise fail("MCT0055", message, chosen.model.name.span, hint)
        values[name] = override(name, value, chosen.model.name.span)
    return values
