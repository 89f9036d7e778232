"""Failures that have nothing to do with the evaluator, and ops that no test reaches, each with the reason."""

from __future__ import annotations

from bench.conformance.case import Case

LEFT_OUT: dict[str, str] = {
    "classify": "its results, a label and a dictionary, aren't tensors; the evaluator doesn't have it",
    "conv_quantized": "experimental, says its documentation; no converter writes it and the evaluator doesn't have it",
}
"""Why an op isn't evaluated."""

EXPLAINED: tuple[tuple[str, str, str], ...] = ()
"""A part of a test's name, a part of what went wrong (both must be found), and the reason."""


def why(case: Case) -> str | None:
    """The reason why a failed case doesn't count, None where it does."""
    for test, message, reason in EXPLAINED:
        if test in case.test and message in case.reason:
            return reason
    return None
