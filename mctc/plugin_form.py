"""What a plugin's pass, target, op or family of rules must look like: faults in words, found as it is loaded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any


def faults(kind: str, loaded: Any) -> Iterator[str]:
    """What is wrong with an object that a plugin brings as one of a kind, the first fault first."""
    return FORMS[kind](loaded)


def _of_pass(cls: Any) -> Iterator[str]:
    from mctc.rewrite.base import Exact, Pass, Reshapes, Rounds, Stores, Within
    from mctc.rewrite.options import option_faults
    from mctc.rewrite.order import STAGES

    if not _derives(cls, Pass):
        yield "must be a class derived from mctc.rewrite.base.Pass"
        return
    if cls.run is Pass.run:
        yield "has no `run`"
    if not isinstance(getattr(cls, "promise", None), (Exact, Within, Reshapes, Rounds, Stores)):
        known = "Exact(), Within(error), Reshapes(), Rounds() or Stores()"
        yield f"`promise` must be {known}, not {_shown(getattr(cls, 'promise', None))}"
    if cls.stage not in STAGES:
        yield f"`stage` must be one of {', '.join(map(repr, STAGES))}, not {_shown(cls.stage)}"
    for name in ("after", "before"):
        yield from _names(cls, name, "names of passes")
    if both := _plain(cls.after) & _plain(cls.before):
        yield f"wants to run both after and before {', '.join(sorted(both))}"
    yield from option_faults(cls)
    if cls.name in _plain(cls.after) | _plain(cls.before):
        yield "wants to run next to itself"


def _of_target(cls: Any) -> Iterator[str]:
    from mctc.driver.target import Target

    if not _derives(cls, Target):
        yield "must be a class derived from mctc.driver.target.Target"
        return
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        yield f"has no {' and no '.join(f'`{name}`' for name in missing)}"
    for name in ("beside", "computes"):
        yield from _names(cls, name, "names")
    if not isinstance(cls.forms, Mapping) or not all(_is_list_of_text(value) for value in cls.forms.values()):
        yield f"`forms` must give a tuple of strings for each option, not {_shown(cls.forms)}"


def _of_op(cls: Any) -> Iterator[str]:
    from mctc.ir.op import Op

    if not _derives(cls, Op):
        yield "must be a class derived from mctc.ir.op.Op"
        return
    for name, kind in (("operands", "operand"), ("attributes", "attribute")):
        if name in vars(cls):
            yield f"`{name}` belongs to an application of the op; write one field for each {kind} (mctc.ir.fields)"
    if any(each.variadic for each in cls.fields[:-1]):
        yield "an operand of any number of values must be the last one"
    for name in ("infer", "reference"):
        method = inspect.getattr_static(cls, name)
        if method is inspect.getattr_static(Op, name):
            yield f"has no `{name}`"
        elif not inspect.isfunction(method):
            yield f"`{name}` must be a method of one application, `def {name}(self, ...)`"
    yield from _names(cls, "nonzero", "names of operands")
    if not isinstance(cls.forms, Mapping) or not all(map(callable, cls.forms.values())):
        yield f"`forms` must be a table of functions by the name of a target, not {_shown(cls.forms)}"


def _of_rules(loaded: Any) -> Iterator[str]:
    from mctc.linter.coreml.rule import Rule, RuleFamily

    if not isinstance(loaded, RuleFamily):
        yield f"is a {type(loaded).__name__}, not a RuleFamily"
    elif not isinstance(loaded.rules, (list, tuple)) or not all(isinstance(rule, Rule) for rule in loaded.rules):
        yield "`rules` must be a tuple of rules"


FORMS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "passes": _of_pass,
    "targets": _of_target,
    "ops": _of_op,
    "rules": _of_rules,
}


def _derives(cls: Any, base: type) -> bool:
    return inspect.isclass(cls) and issubclass(cls, base)


def _names(cls: Any, attribute: str, what: str) -> Iterator[str]:
    value = getattr(cls, attribute)
    if not _is_list_of_text(value):
        more = f"; write ({value!r},)" if isinstance(value, str) else ""
        yield f"`{attribute}` must be a tuple of {what}, not {_shown(value)}{more}"


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value)


def _plain(names: Any) -> set[str]:
    return {name.rstrip("?") for name in names} if _is_list_of_text(names) else set()


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
