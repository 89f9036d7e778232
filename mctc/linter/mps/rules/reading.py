"""MPS000: files that can't be checked."""

from __future__ import annotations

from collections.abc import Iterable

from mctc.diagnostics.diagnostic import Severity
from mctc.linter.mps.code import Code
from mctc.linter.mps.rule import CodeRule, Finding


def nothing(_: Code) -> Iterable[Finding]:
    """There is no parsed file to search: mctc.linter.mps.check reports this one itself."""
    return ()


RULES = (
    CodeRule(
        code="MPS000",
        name="not-checked",
        in_tests=True,
        severity=Severity.ERROR,
        summary="a file that can't be read or is not Python",
        why=(
            "The file is missing, not UTF-8, or not Python as the Python that runs mctc understands it. Nothing"
            " in it was checked, so `mctc lint` exits with 2."
        ),
        source="Python's own parser.",
        hint="mend the place shown; a newer syntax needs a newer Python",
        fix=(
            "Mend the syntax, or run mctc with the version of Python that the file is written for. Save the file"
            " as UTF-8."
        ),
        bad="""
            def loss(:
        """,
        good="""
            def loss():
                pass
        """,
        find=nothing,
    ),
)
