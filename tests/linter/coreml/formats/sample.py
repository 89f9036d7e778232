"""Reports that every format has to cope with: hostile names, each severity, two packages, places in a spec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from inspect import cleandoc

from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.graph import Op, PackageGraph
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.report import Place, Report
from mctc.linter.coreml.rule import Effect, Hit, OpRule, PackageRule, Rule, Severity, Sides
from mctc.linter.coreml.target import Scope, Target

HOSTILE = "a%\n::error::b|`<script>alert(1)</script>[x](http://evil.example){0} \x1b[31m\u202e@team \ud800"
PROGRAM = f"""
    x: fp16[1, 64, 1, 16]
    y: fp16[1, 64, 1, 16] = relu(x=x, name={HOSTILE!r})
    z: fp16[1, 64, 1, 16] = relu(x=y, name="plain")
    c: fp16[1, 96, 1, 16] = conv(x=z, weight=fp16[96, 64, 1, 1], name="conv_0")
    s: fp16[1, 96, 1, 16] = softmax(x=c, axis=1, name="softmax_0")
    t: fp16[1, 96, 1, 16] = tanh(x=s, name="tanh_0")
    return t
"""
EXAMPLE = "x: fp16[1, 64, 1, 16]\nreturn x"


def _rule(code: str, op: str, severity: Severity, effect: Effect = Effect.STAYS, sides: Sides | None = None) -> OpRule:
    def find(found: Op, _: Target) -> str:
        return f"{found.type} of {found.name} is a sample"

    return OpRule(
        code=code, name=f"sample-{op}", summary=f"{op} as a sample of {severity.value}", severity=severity,
        effect=effect, evidence="BC", confidence="M", ops=(op,), why=f"Because {op} is one.", fix=f"Leave {op} out.",
        source="no one", find=find, fires=EXAMPLE, silent=EXAMPLE, sides=sides,
    )  # fmt: skip


def _large(package: PackageGraph, _: Target) -> Iterator[Hit]:
    yield Hit("the package is a sample")


RULES: tuple[Rule, ...] = (
    _rule("ANE-XX-001", "relu", Severity.ERROR, Effect.OFF),
    _rule("ANE-XX-002", "tanh", Severity.WARNING, Effect.DOUBT, Sides("An M4 takes it (A).", "An M5 does not (B).")),
    _rule("ANE-XX-003", "conv", Severity.PERFORMANCE),
    _rule("ANE-XX-004", "softmax", Severity.NUMERICS),
    PackageRule(
        code="ANE-XX-005", name="sample-package", summary="a package as a sample of info", severity=Severity.INFO,
        evidence="M", confidence="H", why="Because it is one.", fix="Leave it out.", source="no one", find=_large,
        fires=EXAMPLE, silent=EXAMPLE,
    ),
    replace(_rule("ANE-XX-006", "relu", Severity.WARNING), scope=Scope(frozenset({"H13"}))),
)  # fmt: skip


def sample(path: str = "models/a|b`.mlpackage", program: str = PROGRAM) -> Report:
    """A report with six findings, two of them errors; the convolution comes from line 15 of a spec."""
    places = {"main": {"conv_0": Place("spec/a b.mct:15:32", "encoder.conv"), "plain": Place("no place", "")}}
    package = read_notation(cleandoc(program), path, {"mctc.model": HOSTILE})
    return check_package(package, RULES, device="m4", places=places)


def samples() -> list[Report]:
    """That, and a package with nothing to find."""
    clean = replace(sample("clean.mlpackage", EXAMPLE), findings=())
    return [sample(), clean]
