"""Rewrites on typed ops: what a pattern is, and how it says that it lets go.

    def _convolved(op: Linear, to: Rewriter) -> Value | Refuse:
        if op.x.type.rank > 5:
            return Refuse(f"{op.x.type} has more than five axes")
        return to.op(Conv2d, to[op.x], ...)

    rewrite(program, self.name, Pattern(Linear, _convolved), context=context)

A small tree of ops is matched as Python matches classes, by their fields:

    match op:
        case BatchNorm(x=Value(owner=Conv2d(bias=None) as convolution)): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from mctc.ir.op import Op
from mctc.ir.value import Value
from mctc.records import dataclass

if TYPE_CHECKING:
    from mctc.rewrite.rewriter import Rewriter

Kind = TypeVar("Kind", bound=Op)


@dataclass(frozen=True)
class Refuse:
    """What a rewrite returns for an op that it looked at and lets be; `mctc why` tells the reason."""

    why: str


Outcome = Value | Sequence[Value] | Refuse | None
Rule = Callable[[Op, "Rewriter"], Outcome]


@dataclass(frozen=True)
class Pattern(Generic[Kind]):
    """A rewrite of the ops of one type, or of types that derive from it.

    `rewrite` takes an op of the old function. It returns new values for its results, None for an op that it is not
    for, or Refuse.
    """

    kind: type[Kind]
    rewrite: Callable[[Kind, Rewriter], Outcome]

    @property
    def kinds(self) -> tuple[type[Op], ...]:
        """The types of the ops that it is for."""
        return (self.kind,)

    def concerns(self, op: Op) -> bool:
        """Whether it may rewrite an op: one that it can't is taken over without asking."""
        return isinstance(op, self.kind)

    def __call__(self, op: Op, to: Rewriter) -> Outcome:
        return self.rewrite(op, to) if isinstance(op, self.kind) else None


def first_of(*rules: Rule) -> Rule:
    """The rule that asks each in order until one rewrites the op. Refusals of those before it are recorded."""

    return _FirstOf(rules)


def may_fire(rule: Rule, ops: Iterable[Op]) -> bool:
    """Whether a rule has a say in any of these ops; one that is no pattern may."""
    kinds = rule.kinds if isinstance(rule, (Pattern, _FirstOf)) else None
    return kinds is None or any(isinstance(op, kinds) for op in ops)


class _FirstOf:
    """What `first_of` gives."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        patterns = [rule for rule in rules if isinstance(rule, Pattern)]
        self.kinds = tuple(rule.kind for rule in patterns) if len(patterns) == len(rules) else None
        self._rules = rules
        self._asked: dict[type[Op], tuple[Rule, ...]] = {}  # by an op's type: all but the patterns of other types

    def concerns(self, op: Op) -> bool:
        return bool(self._of(type(op)))

    def _of(self, kind: type[Op]) -> tuple[Rule, ...]:
        found = self._asked.get(kind)
        if found is None:
            found = tuple(r for r in self._rules if not isinstance(r, Pattern) or issubclass(kind, r.kind))
            self._asked[kind] = found
        return found

    def __call__(self, op: Op, to: Rewriter) -> Outcome:
        for each in self._of(type(op)):
            outcome = each(op, to)
            if isinstance(outcome, Refuse):
                to.refuse(op, outcome.why)
            elif outcome is not None:
                return outcome
        return None
