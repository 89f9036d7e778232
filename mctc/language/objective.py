"""The objectives of a `train` section: their names, their settings, and whether the components fit them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeGuard

from mctc.diagnostics.diagnostic import Diagnostic, Note, diagnostic_at
from mctc.diagnostics.near import did_you_mean, listing
from mctc.ir.attribute_value import Attributes, AttributeValue
from mctc.ir.program import Program, Section
from mctc.ir.section import Call
from mctc.ir.types import Role
from mctc.language import syntax as s
from mctc.language.arithmetic import is_number
from mctc.language.expressions import Evaluator
from mctc.language.failure import fail
from mctc.language.scope import Frame
from mctc.language.session import Session
from mctc.language.values import Single, describe, plain
from mctc.language.weighted import Term, split
from mctc.objectives.auxiliary import auxiliary as auxiliary_of
from mctc.objectives.components import takes
from mctc.objectives.fit import fit
from mctc.objectives.later_labels import sees_later
from mctc.objectives.misfit import MisfitError
from mctc.objectives.settings import (
    AUXILIARIES,
    OBJECTIVES,
    REQUIRED,
    Kind,
    Setting,
    Table,
    as_classes,
    classes_of,
    complete,
)

NUMBERS = (Kind.SHARE, Kind.NUMBER)
NAMES = (Kind.PLACE, Kind.NAME)
EXAMPLES = {
    "objective": "rnnt(blank = 0)",
    "auxiliary objective": "ctc(of = encoder, weight = 0.3)",
    "term of a sum": "0.3 * ctc(of = encoder)",
}
LARGEST = 3.4e38  # a loss is fp32
WEIGHED: Table = {
    name: {key: setting for key, setting in known.items() if key != "weight"} for name, known in AUXILIARIES.items()
}
"""Settings of a term, whose weight stands in front of it."""


def objective(node: s.Expression, evaluator: Evaluator, frame: Frame) -> dict[str, AttributeValue]:
    """The settings of a section that a sum of objectives stands for: `objective`, the name and the given settings of
    its first term; `objective_weight`, where that is not 1; `auxiliary`, the other terms. Raises FaultError."""
    terms = split(node)
    weight = _weight(terms.first, evaluator, frame)
    told: dict[str, AttributeValue] = {"objective": _told(terms.first.node, OBJECTIVES, "objective", evaluator, frame)}
    told |= {} if weight == 1 else {"objective_weight": weight}
    others = []
    for term in terms.others:
        name, given = _told(term.node, WEIGHED, "term of a sum", evaluator, frame)
        others.append((name, {**given, "weight": _weight(term, evaluator, frame)}))
    if weight == 0 and all(given["weight"] == 0 for _, given in others):
        raise fail("MCT0152", "every term weighs 0: nothing is trained", node.span, "leave the `train` section out")
    return {**told, "auxiliary": tuple(others)} if others else told


def _weight(term: Term, evaluator: Evaluator, frame: Frame) -> float:
    """The product of what a term is multiplied with. Raises FaultError for what is no number from 0 on."""
    weight = 1.0
    for node in term.factors:
        value = plain(evaluator.constant(node, frame, "a weight"))
        if not is_number(value) or not 0 <= value <= LARGEST:
            hint = "a number from 0 on that fp32 holds"
            raise fail("MCT0152", f"the weight of a term can't be {describe(value)}", node.span, hint)
        weight *= float(value)
    return weight


def auxiliary(node: s.Expression, evaluator: Evaluator, frame: Frame) -> tuple[Call, ...]:
    """The same of auxiliary objectives, one or a list of them. Raises FaultError."""
    return tuple(_told(each, AUXILIARIES, "auxiliary objective", evaluator, frame) for each in _listed(node))


def _listed(node: s.Expression) -> tuple[s.Expression, ...]:
    return node.items if isinstance(node, s.ListDisplay) else (node,)


def _told(node: s.Expression, table: Table, what: str, evaluator: Evaluator, frame: Frame) -> Call:
    callee = node.callee if isinstance(node, s.Call) else node
    if not isinstance(callee, s.Name):
        example = EXAMPLES[what]
        raise fail("MCT0142", "this must be a name with its settings", node.span, f"for example `{example}`")
    name = callee.text
    if name not in table:
        hint = did_you_mean(name, table) or f"it is one of {listing(table)}"
        raise fail("MCT0150", f"there is no {what} `{name}`", callee.span, hint)
    given: dict[str, AttributeValue] = {}
    for argument in node.arguments if isinstance(node, s.Call) else ():
        key, setting = _setting(name, table[name], argument, given)
        given[key] = _value(key, setting, argument, evaluator, frame)
    missing = [key for key, setting in table[name].items() if setting.default is REQUIRED and key not in given]
    if missing:
        hint = f"`{missing[0]}` is {table[name][missing[0]].kind.value}"
        if name == "cross_entropy":
            hint += (
                "; it is for a decoder that writes label by label: one of frames or utterances has no `train` section"
            )
        raise fail("MCT0151", f"`{name}` needs {listing(missing)}", node.span, hint)
    return name, given


def _setting(name: str, known: Mapping[str, Setting], argument: s.Argument, given: Attributes) -> tuple[str, Setting]:
    if argument.name is None:
        raise fail("MCT0142", "an argument here needs its name", argument.span, f"`{name}` has {listing(known)}")
    key = argument.name.text
    if key not in known:
        hint = did_you_mean(key, known) or f"it has {listing(known)}"
        raise fail("MCT0151", f"`{name}` has no setting `{key}`", argument.name.span, hint)
    if key in given:
        raise fail("MCT0151", f"`{key}` is given twice", argument.name.span, "remove one of them")
    return key, known[key]


def _value(key: str, setting: Setting, argument: s.Argument, evaluator: Evaluator, frame: Frame) -> AttributeValue:
    if setting.kind in NAMES and isinstance(argument.value, s.Name):
        return argument.value.text
    value = plain(evaluator.constant(argument.value, frame, "a setting"))
    told = tuple(map(plain, value)) if isinstance(value, tuple) else value
    if not _fits(told, setting):
        wanted = setting.kind.value + (", 1 itself not" if setting.below_one else "")
        raise fail("MCT0152", f"`{key}` can't be {describe(value)}", argument.value.span, f"it is {wanted}")
    return float(told) if setting.kind in NUMBERS and is_number(told) else told


def _fits(value: Single, setting: Setting) -> TypeGuard[AttributeValue]:
    """Whether a value is what a setting takes."""
    if setting.kind is Kind.CLASSES:
        return all(map(_is_whole, as_classes(value)))
    if setting.kind is Kind.COUNTS:
        counts = [each for each in value if _is_whole(each)] if isinstance(value, tuple) else []
        return any(counts) and isinstance(value, tuple) and len(set(counts)) == len(value)
    if setting.kind in (Kind.CLASS, Kind.COUNT):
        return _is_whole(value)
    if setting.kind is Kind.FLAG:
        return isinstance(value, bool)
    if setting.kind is Kind.PLACE:
        return isinstance(value, str) and bool(value)
    if setting.kind is Kind.NAME:
        return isinstance(value, str) and value.isidentifier()
    if not is_number(value):
        return False
    most = float("inf") if setting.kind is Kind.NUMBER else 1
    return 0 <= value < most if setting.below_one or setting.kind is Kind.NUMBER else 0 <= value <= most


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def check_objective(program: Program, session: Session, section: s.Section | None) -> None:
    """Reports objectives that the components do not fit, and classes that their vocabulary does not have."""
    told = program.train.call("objective")
    nodes = {} if section is None else {i.targets[0].text: i.value for i in section.body.statements if _assigns(i)}
    others = program.train.calls("auxiliary")
    if told is None and others:
        message = "an auxiliary objective stands beside an `objective`; this section has none"
        session.report(
            Diagnostic("MCT0153", message, nodes["auxiliary"].span, f"add `objective = {EXAMPLES['objective']}`")
        )
    if told is None or section is None:
        return
    name, given = told
    terms = split(nodes["objective"])
    node = terms.first.node
    try:
        found = fit(program, name, given)
    except MisfitError as error:
        message = f"the components do not fit `{name}`: {error.message}"
        session.report(Diagnostic("MCT0153", message, node.span, error.hint))
        return
    for found_later in later_labels(program, name):
        session.report(found_later)
    _check_context(session, node, given)
    _check_classes(session, node, classes_of(name, given), found.classes)
    beside = [*(term.node for term in terms.others), *(_listed(nodes["auxiliary"]) if "auxiliary" in nodes else ())]
    for (kind, each), node in zip(others, beside):
        try:
            made = auxiliary_of(program, found, f"auxiliary_{kind}", kind, complete(kind, each, AUXILIARIES))
        except MisfitError as error:
            place = _argument(node, "of").value.span if "of" in each else node.span
            session.report(Diagnostic("MCT0153", error.message, place, error.hint))
        else:
            _check_classes(session, node, classes_of(kind, each, AUXILIARIES), made.classes)


def later_labels(program: Program, objective: str) -> Iterator[Diagnostic]:
    """What is wrong with components over labels that an objective trains on whole texts: they may see none to come."""
    for function in program.functions.values():
        op = sees_later(function) if takes(function, Role.LABEL) else None
        if op is not None:
            message = (
                f"`{op.name}` lets `{function.name}` see labels behind its own, which it has to say by `{objective}`"
            )
            hint = "no `look_ahead`, `pad = [n, 0]` or `right = 0`: a decoder has written the labels before its own"
            yield diagnostic_at(op.origin.location, "MCT0159", message, hint=hint)


def _assigns(item: s.Statement) -> TypeGuard[s.Assign]:
    return isinstance(item, s.Assign) and len(item.targets) == 1


def _check_context(session: Session, node: s.Expression, given: Attributes) -> None:
    prompt = len(as_classes(given.get("prompt", ())))
    if (Section(given).count("context") or 0) > prompt:
        message = f"the prompt has {prompt} classes"
        session.report(Diagnostic("MCT0152", message, _argument(node, "context").value.span, f"at most {prompt}"))


def _check_classes(session: Session, node: s.Expression, named: Mapping[str, tuple[int, ...]], classes: int) -> None:
    for key, values in named.items():
        above = [value for value in values if value >= classes]
        if above:
            argument = _argument(node, key)
            message = f"`{key}` is class {above[0]}, but the vocabulary has {classes} classes"
            note = Note("classes count from 0")
            session.report(Diagnostic("MCT0154", message, argument.value.span, f"at most {classes - 1}", (note,)))


def _argument(node: s.Expression, key: str) -> s.Argument:
    assert isinstance(node, s.Call), "only a call has settings"
    return next(each for each in node.arguments if each.name is not None and each.name.text == key)
