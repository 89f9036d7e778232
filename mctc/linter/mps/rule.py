"""The form of a rule: what it finds, why that matters on a Mac, where that is written, and the way out."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from inspect import cleandoc

from mctc.diagnostics.diagnostic import Severity
from mctc.linter.mps.code import Code
from mctc.records import dataclass


@dataclass(frozen=True)
class Finding:
    """A place where a rule applies. `tail`: of a call `a.b.c()` only `c()` is meant; `hint`: for this place, in place
    of the rule's; `per_step`: it matters because training comes by at every step."""

    node: ast.AST
    message: str
    tail: bool = False
    hint: str = ""
    per_step: bool = False


@dataclass(frozen=True, kw_only=True)
class CodeRule:
    """`code` stays for ever; `bad` has exactly this finding, `good` has none, and a test holds both to that.

    `hint` is the line under a finding, `fix` the longer answer of `mctc explain`, `source` who says what `why` says.
    The examples may be indented as docstrings are. `in_tests`: it is about tests, too, which others leave alone.
    """

    code: str
    name: str
    summary: str
    why: str
    source: str
    hint: str
    fix: str
    bad: str
    good: str
    find: Callable[[Code], Iterable[Finding]]
    severity: Severity = Severity.WARNING
    in_tests: bool = False

    def __post_init__(self) -> None:
        for name in ("bad", "good"):
            object.__setattr__(self, name, cleandoc(getattr(self, name)) + "\n")


GUIDE = "Developer field guide"
