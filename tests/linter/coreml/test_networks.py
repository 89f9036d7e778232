"""Networks converted by coremltools from torch: the known fallbacks are found, and nothing else is an error."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.placement import Eligible
from mctc.linter.coreml.report import Report
from mctc.linter.coreml.rule import Severity
from mctc.linter.coreml.table import Table
from mctc.package import read_package

NETWORKS = Path(__file__).with_name("networks.py")
Check = Callable[..., Report]
pytestmark = [
    pytest.mark.skipif(find_spec("torch") is None, reason="networks are written in torch"),
    pytest.mark.slow,  # its cheaper sibling: rules/test_false_alarms.py
]

# The ops that must be at error, by network and opset; every other op is eligible or contested.
LOOKUP = {"gather": {"ANE-OP-022"}}
INDEX_ARITHMETIC = {
    **LOOKUP,
    **{op: {"ANE-DT-004"} for op in ("add", "greater_equal", "select")},
    "cast": {"ANE-DT-005"},
}
KNOWN: dict[tuple[str, str], dict[str, set[str]]] = {
    ("resnet", "iOS15"): {},
    ("resnet", "iOS18"): {},
    ("depthwise", "iOS15"): {},
    ("depthwise", "iOS18"): {},
    ("zoo", "iOS15"): {},
    ("zoo", "iOS17"): {},
    ("zoo", "iOS18"): {},
    ("lstm", "iOS15"): {"lstm": {"ANE-OP-001"}},  # this opset's lstm takes fp32 alone: no other error
    ("lstm", "iOS18"): {"lstm": {"ANE-OP-001"}},
    ("transformer", "iOS15"): LOOKUP,
    ("transformer", "iOS17"): INDEX_ARITHMETIC,  # coremltools folds negative ids and narrows the others
    ("transformer", "iOS18"): INDEX_ARITHMETIC,
}


@pytest.fixture(scope="module")
def report(rules: Table, tmp_path_factory: pytest.TempPathFactory) -> Check:
    """`report("resnet", "iOS18", "m4")`: the report on a network's package."""
    folder = tmp_path_factory.mktemp("networks")

    def convert() -> None:
        command = [sys.executable, str(NETWORKS), str(folder), *map(":".join, KNOWN)]
        done = subprocess.run(command, text=True, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]

    def run(name: str, opset: str, device: str | None = None) -> Report:
        path = folder / f"{name}_{opset}.mlpackage"
        if not path.exists():
            convert()  # all of them in one process
        package = read_package(path)
        return check_package(package, rules.rules.values(), device=device)

    return run


@pytest.mark.parametrize(("name", "opset"), KNOWN, ids=[" ".join(key) for key in KNOWN])
def test_the_known_fallbacks_are_errors_and_nothing_else_is(report: Check, name: str, opset: str) -> None:
    known = KNOWN[name, opset]
    for device in (None, "m4"):
        found = report(name, opset, device)
        (function,) = found.functions
        codes = {finding.rule.code for finding in found.findings if finding.severity is Severity.ERROR}
        errors: dict[str, set[str]] = {}
        for op in function.ops:  # one finding may be about several
            if codes & set(op.rules):
                errors.setdefault(op.type, set()).update(codes & set(op.rules))
        assert errors == known
        refused = {op.type for op in function.ops if op.eligible is Eligible.NO}
        assert refused == set(known)


@pytest.mark.parametrize("opset", ["iOS15", "iOS17", "iOS18"])
def test_what_other_checkers_call_fallbacks_is_eligible(report: Check, opset: str) -> None:
    (function,) = report("zoo", opset, "m4").functions
    kinds = Counter(op.type for op in function.ops)
    assert {"concat", "gelu", "max_pool", "softmax", "linear", "tile"} <= set(kinds)
    assert kinds["softmax"] >= 3
    fused = "scaled_dot_product_attention"
    assert (fused in kinds) is (opset == "iOS18")
    assert all(op.eligible is Eligible.YES for op in function.ops if op.type != fused)


def test_a_small_net_that_is_wholly_eligible_and_stays_on_the_cpu_is_named(report: Check) -> None:
    found = report("zoo", "iOS18", "m4")
    assert "ANE-SZ-005" in {finding.rule.code for finding in found.findings}
