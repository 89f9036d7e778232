"""How a target writes an op: by a rule of its own or, where it has none, by the form that the op of a plugin brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from mctc.diagnostics.errors import MctcError
from mctc.driver.engine import RuntimeMissingError
from mctc.driver.names import place
from mctc.ir.op import InferenceError
from mctc.ir.program import Op

R = TypeVar("R", bound=Callable[..., Any])


class FormError(MctcError):
    """A form that a plugin's op brings and that fails, or returns what it should not."""


class FormMissingError(RuntimeMissingError):
    """A plugin's op without a form for a target: nothing is wrong with the op, and this target can't be asked."""


def rule_of(op: Op, target: str, rules: Mapping[str, R], sound: Callable[[Any], bool]) -> R | None:
    """The rule for an op, None for one of the IR's own that the target does not know.

    sound: whether a form returned what the target's rules return. Raises FormMissingError.
    """
    known = rules.get(op.name)
    if known is not None or type(op).__module__.startswith("mctc."):
        return known
    form = op.forms.get(target)
    if form is None:
        hint = f"give the op a form for {target}, or a pass that lowers it (docs/plugins.md)"
        raise FormMissingError(f"{place(op)} is of a plugin and has no {target} form", hint=hint)

    def checked(*arguments: Any) -> Any:
        try:
            made = form(*arguments)
        except (MctcError, InferenceError, KeyboardInterrupt):
            raise
        except BaseException as error:  # whatever a stranger's code raises, SystemExit too
            raise FormError(f"{place(op)}: {_of(op, target)} fails: {type(error).__name__}: {error}") from error
        if not sound(made):
            raise FormError(f"{place(op)}: {_of(op, target)} returns {made!r:.60}, which no rule of {target} returns")
        return made

    return cast("R", checked)


def _of(op: Op, target: str) -> str:
    from mctc.plugins import registry

    return f"the {target} form that the op of {registry().origin('ops', op.name) or type(op).__module__} brings"
