"""A pytest plugin that runs coremltools' op tests as on a Mac, with mctc's evaluator in the place of Core ML.

The tests, their expected values, their tolerances and their comparison are coremltools'. On another system than macOS
they stop after conversion, since there is nothing to predict with; here there is.
"""

from __future__ import annotations

import gc
import os
import zlib
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.conformance.boxes import stand_in
from bench.conformance.case import Case
from bench.conformance.engine import Engine

MACOS = (26, 0)
"""The version that the tests are told: none of the faults of older ones is skipped."""
FOLDER = "mil/mil/ops/tests/"
HALF = 2e-3
"""Four roundings to fp16, relative to the largest expected value. Their own tolerance for fp16 is 0.5."""
BOXES = "TestNonMaximumSuppression"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--cases", type=Path, required=True, help="the file that the cases are written to")
    group.addoption("--precision", choices=("fp32", "fp16"), default="fp32", help="of programs and evaluator")
    group.addoption("--sample", type=int, default=0, help="parametrisations of a test for an op set and op (0: all)")
    group.addoption("--select", type=Path, help="a file of tests, a line each: only these are run")


def pytest_configure(config: pytest.Config) -> None:
    precision = config.getoption("--precision")
    engine = Engine(precision)
    _replace_core_ml(engine, precision)
    config.pluginmanager.register(_Recorder(engine, config))


def _replace_core_ml(engine: Engine, precision: str) -> None:
    """Must run before any test module is imported: they look at the system while they are."""
    os.environ.update(PYMIL_TEST_TARGETS="mlprogram", INCLUDE_MIL_FP32_UNIT_TESTS="1", RUN_BACKWARD_COMPATIBILITY="1")
    from coremltools.models import utils
    from coremltools.models.model import MLModel

    utils._macos_version = lambda: MACOS
    MLModel.predict = lambda model, data, state=None: engine.predict(model, data, state)
    MLModel.make_state = lambda model: engine.make_state(model)
    from coremltools.converters.mil import testing_reqs, testing_utils

    testing_utils._IS_MACOS = True
    testing_utils.compare_backend = _tolerant(testing_utils.compare_backend, engine)
    testing_reqs.backends_internal = [each for each in testing_reqs.backends_internal if each.precision == precision]
    testing_reqs.backends = [each for each in testing_reqs.backends if each[1] == precision]


def _tolerant(compare: Callable[..., Any], engine: Engine) -> Callable[..., Any]:
    """Their comparison, with the tolerance of fp16 where a program holds fp16 values though fp32 was asked for."""

    def comparison(mlmodel: Any, input_key_values: Any, expected_outputs: Any, **settings: Any) -> Any:
        if engine.precision == "fp32" and engine.holds_half(mlmodel):
            largest = max((float(np.abs(each).max(initial=0)) for each in expected_outputs.values()), default=0)
            settings["rtol"] = max(settings.get("rtol", 1e-5), HALF)
            settings["atol"] = max(settings.get("atol", 1e-4), HALF * largest)
        return compare(mlmodel, input_key_values, expected_outputs, **settings)

    return comparison


class _Recorder:
    """Writes a Case for each test."""

    def __init__(self, engine: Engine, config: pytest.Config) -> None:
        self.engine = engine
        self.path: Path = config.getoption("--cases")
        self.sample: int = config.getoption("--sample")
        self.select: Path | None = config.getoption("--select")
        self.path.write_text("", encoding="utf-8")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        _let_boxes_be_chosen(items)
        if self.select is not None:
            names = set(self.select.read_text(encoding="utf-8").splitlines())
            items[:] = [item for item in items if _name(item.nodeid) in names]
        if not self.sample:
            return
        groups: defaultdict[tuple[str, ...], list[pytest.Item]] = defaultdict(list)
        for item in items:
            groups[_group(item)].append(item)
        # By a hash of the name: every n-th of a product of parameters would fix some of them.
        kept = {
            item
            for group in groups.values()
            for item in sorted(group, key=lambda one: zlib.crc32(one.nodeid.encode()))[: self.sample]
        }
        items[:] = [item for item in items if item in kept]

    def pytest_collection_finish(self) -> None:
        """Every conversion collects garbage: all that stays anyway needn't be looked through each time (4× as fast)."""
        gc.collect()
        gc.freeze()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        case = Case(_name(report.nodeid), report.outcome, self.engine.take_programs(), _reason(report))
        with self.path.open("a", encoding="utf-8") as cases:
            cases.write(case.line())


def _let_boxes_be_chosen(items: list[pytest.Item]) -> None:
    """The tests of non_maximum_suppression are skipped without TensorFlow; they run with its stand-in."""
    with suppress(ImportError):
        tensorflow = stand_in()
        for item in items:
            group, module = item.getparent(pytest.Class), item.getparent(pytest.Module)
            if group is not None and module is not None and group.name == BOXES:
                module.obj.tf = tensorflow
                group.own_markers[:] = [mark for mark in group.own_markers if mark.name != "skipif"]


def _name(nodeid: str) -> str:
    """A test's name from the folder of op tests on."""
    return nodeid.partition(FOLDER)[2] or nodeid.rpartition("/")[2]


def _group(item: pytest.Item) -> tuple[str, ...]:
    """What a sample is taken of: a test, for an op set, and for an op where one test takes the ops as parameters."""
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    opset = str(getattr(params.get("backend"), "opset_version", ""))
    return item.nodeid.partition("[")[0], opset, str(params.get("mode")), str(params.get("op_name"))


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return "" if crash is None else " ".join(str(crash.message).split())[:400]
