"""Domains in headers: what the entries of a component's input may be, from the words behind its type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from mctc.diagnostics.diagnostic import Diagnostic, Severity, diagnostic_at
from mctc.diagnostics.source import Span
from mctc.ir.domain import Choices, Domain, Interval, limited
from mctc.ir.program import Function, Op
from mctc.ir.table_ids import table_ids
from mctc.ir.types import DType
from mctc.language import syntax as s
from mctc.language.expressions import Evaluator
from mctc.language.failure import fail
from mctc.language.scope import Frame
from mctc.language.values import describe, plain

LIMITS = {">": "above", ">=": "at_least", "<": "below", "<=": "at_most"}
OPPOSITE = {"above": "at_least", "at_least": "above", "below": "at_most", "at_most": "below"}


def is_bound(node: s.Domain) -> bool:
    """`< n` alone: of ids, it is a part of the type."""
    return isinstance(node, s.Limits) and [limit.operator for limit in node.limits] == ["<"]


def domain_of(node: s.Domain, dtype: DType, evaluator: Evaluator, frame: Frame) -> Domain:
    """The domain that an input's header states. Raises FaultError where its entries are of another kind, or none is."""
    if dtype is DType.BOOL:
        raise fail("MCT0108", "the entries of a bool tensor are true or false", node.span, "leave it out")
    numbers, whole = _Numbers(evaluator, frame, dtype), dtype is DType.I32
    if isinstance(node, s.OneOf):
        return Choices(tuple(sorted({numbers.number(value) for value in node.values})), whole=whole)
    if isinstance(node, s.Between):
        domain = Interval(numbers.number(node.low), numbers.number(node.high), whole=whole)
    else:
        domain = limited(numbers.limits(node), whole=whole)
    if domain.is_empty:
        raise fail("MCT0114", f"no number is `{node.span.text}`", node.span, "the lower end comes first")
    return domain


def check_ids(function: Function, spans: Mapping[str, Span]) -> None:
    """Raises FaultError, at an input, where its domain holds an id that a table of the component has no row for."""
    for value, rows in table_ids(function).items():
        domain = function.domain(value)
        if domain.least < 0 or domain.greatest >= rows:
            message = f"`{value.name}` takes rows of a table that has {rows}, and may be {domain}"
            raise fail("MCT0115", message, spans[value.name], f"write `< {rows}`, or read a larger table")


def doubtful_mask(op: Op) -> Diagnostic:
    """The warning about an op whose mask may be something else than 1 and 0."""
    message = f"the mask of this `{op.name}` may be something else than 1 and 0"
    hint = "say what the inputs may be that it is computed from: `in {0, 1}` behind the type"
    return diagnostic_at(op.origin.location, "MCT0116", message, hint=hint, severity=Severity.WARNING)


class _Numbers:
    """Evaluates the numbers of a domain."""

    def __init__(self, evaluator: Evaluator, frame: Frame, dtype: DType) -> None:
        self.evaluator, self.frame, self.dtype = evaluator, frame, dtype

    def number(self, node: s.Expression) -> float:
        value = plain(self.evaluator.constant(node, self.frame, "what an input may be"))
        if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
            raise fail("MCT0114", f"what an input may be is told by numbers, not by {describe(value)}", node.span)
        if self.dtype is DType.I32 and value != math.floor(value):
            raise fail("MCT0114", f"no entry of an i32 tensor is {describe(value)}", node.span, "write a whole number")
        try:
            return float(value)
        except OverflowError:
            raise fail("MCT0114", "this number is out of range", node.span) from None

    def limits(self, node: s.Limits) -> dict[str, float]:
        """The limits by their names in a manifest. Ids, as all that is counted, start at 0 unless they are said to."""
        limits: dict[str, float] = {}
        for limit in node.limits:
            word = LIMITS[limit.operator]
            if word in limits or OPPOSITE[word] in limits:
                raise fail("MCT0114", "two limits on the same side", limit.span, "leave one of them out")
            limits[word] = self.number(limit.value)
        if self.dtype is DType.I32 and not {"above", "at_least"} & limits.keys():
            limits["at_least"] = 0
        return limits
