"""The objective of a `train` section: its name, its settings, and whether the components fit it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from mctc.diagnostics.diagnostic import Diagnostic, Note
from mctc.diagnostics.near import did_you_mean, listing
from mctc.ir.program import Program
from mctc.language import syntax as s
from mctc.language.expressions import Evaluator
from mctc.language.failure import fail
from mctc.language.scope import Frame
from mctc.language.session import Session
from mctc.language.values import describe, plain
from mctc.objectives.components import MisfitError, fit
from mctc.objectives.settings import OBJECTIVES, REQUIRED, Kind, Setting, as_classes, classes_of

EXAMPLE = "for example `rnnt(blank = 0)`"


def objective(node: s.Expression, evaluator: Evaluator, frame: Frame) -> tuple[str, dict[str, Any]]:
    """The name of an objective and the settings that are given. Raises FaultError."""
    callee = node.callee if isinstance(node, s.Call) else node
    if not isinstance(callee, s.Name):
        raise fail("MCT0142", "this must be a name with its settings", node.span, EXAMPLE)
    name = callee.text
    if name not in OBJECTIVES:
        hint = did_you_mean(name, OBJECTIVES) or f"the objectives are {listing(OBJECTIVES)}"
        raise fail("MCT0150", f"there is no objective `{name}`", callee.span, hint)
    given: dict[str, Any] = {}
    for argument in node.arguments if isinstance(node, s.Call) else ():
        key, setting = _setting(name, argument, given)
        given[key] = _value(key, setting, argument, evaluator, frame)
    missing = [key for key, setting in OBJECTIVES[name].items() if setting.default is REQUIRED and key not in given]
    if missing:
        hint = f"`{missing[0]}` is {OBJECTIVES[name][missing[0]].kind.value}"
        raise fail("MCT0151", f"`{name}` needs {listing(missing)}", node.span, hint)
    return name, given


def _setting(name: str, argument: s.Argument, given: dict[str, Any]) -> tuple[str, Setting]:
    known = OBJECTIVES[name]
    if argument.name is None:
        raise fail("MCT0142", "an argument here needs its name", argument.span, f"`{name}` has {listing(known)}")
    key = argument.name.text
    if key not in known:
        hint = did_you_mean(key, known) or f"it has {listing(known)}"
        raise fail("MCT0151", f"`{name}` has no setting `{key}`", argument.name.span, hint)
    if key in given:
        raise fail("MCT0151", f"`{key}` is given twice", argument.name.span, "remove one of them")
    return key, known[key]


def _value(key: str, setting: Setting, argument: s.Argument, evaluator: Evaluator, frame: Frame) -> Any:
    value = plain(evaluator.constant(argument.value, frame, "a setting"))
    if setting.kind is Kind.CLASSES:
        value = tuple(map(plain, value)) if isinstance(value, tuple) else value
        fits = all(map(_is_class, as_classes(value)))
    elif setting.kind is Kind.CLASS:
        fits = _is_class(value)
    elif setting.kind is Kind.FLAG:
        fits = isinstance(value, bool)
    else:
        number = isinstance(value, (int, Fraction, float)) and not isinstance(value, bool)
        fits = number and (0 <= value < 1 if setting.below_one else 0 <= value <= 1)
        value = float(value) if fits else value
    if not fits:
        wanted = setting.kind.value + (", 1 itself not" if setting.below_one else "")
        raise fail("MCT0152", f"`{key}` can't be {describe(value)}", argument.value.span, f"it is {wanted}")
    return value


def _is_class(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def check_objective(program: Program, session: Session, section: s.Section | None) -> None:
    """Reports an objective that the components do not fit, and classes that their vocabulary does not have."""
    told = program.train.settings.get("objective")
    if section is None or told is None:
        return
    node = next(item.value for item in section.body.statements if isinstance(item, s.Assign))
    name, given = told
    try:
        classes = fit(program, name).classes
    except MisfitError as error:
        message = f"the components do not fit `{name}`: {error.message}"
        session.report(Diagnostic("MCT0153", message, node.span, error.hint))
        return
    for key, values in classes_of(name, given).items():
        above = [value for value in values if value >= classes]
        if above:
            argument = _argument(node, key)
            message = f"`{key}` is class {above[0]}, but the vocabulary has {classes} classes"
            note = Note("classes count from 0")
            session.report(Diagnostic("MCT0154", message, argument.value.span, f"at most {classes - 1}", (note,)))


def _argument(node: s.Expression, key: str) -> s.Argument:
    assert isinstance(node, s.Call), "only a call has settings"
    return next(each for each in node.arguments if each.name is not None and each.name.text == key)
