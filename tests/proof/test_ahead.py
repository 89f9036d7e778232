"""Runtimes that are asked in a thread of their own: the checks, and their order, are those of one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, get_ident
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import mctc.proof.proof
from mctc.diagnostics.errors import MctcError
from mctc.numerics.battery import NOISE, SILENCE
from mctc.numerics.limits import FP32
from mctc.proof.ahead import Ahead, Asked, timed
from mctc.proof.proof import Proof
from mctc.targets.onnx.target import OnnxTarget

ITEMS = ("one frame", "silence")


def asked(run: Callable[[Any], Any]) -> Asked:
    worked_out = list[str]()
    subject: Any = SimpleNamespace(utterance=lambda name, item: worked_out.append(item.name), worked_out=worked_out)
    return Asked("a runtime, fp32", "encoder", FP32, (NOISE, SILENCE), timed(run), subject)


def test_a_thread_computes_what_was_asked_in_order_while_the_caller_goes_on() -> None:
    ahead, order, go_on = Ahead(), list[tuple[str, int]](), Event()

    def run(item: Any) -> dict[str, np.ndarray]:
        assert go_on.wait(10)
        order.append((item.name, get_ident()))
        return {"y": np.zeros(1)}

    begun = ahead.begin(asked(run))
    assert not order, "the caller goes on before anything is computed"
    assert begun.subject.worked_out == ["noise", "silence"], "inputs are worked out by the caller"
    go_on.set()
    for item in (SILENCE, NOISE):
        results, seconds = begun.run(item)
        assert results["y"].shape == (1,)
        assert seconds >= 0
    ahead.close()
    assert [name for name, _ in order] == ["noise", "silence"]
    assert get_ident() not in {thread for _, thread in order}
    assert not ahead.folder.exists()


def test_what_fails_in_the_thread_fails_where_it_is_asked_for() -> None:
    def run(item: Any) -> dict[str, np.ndarray]:
        raise MctcError(f"no {item.name}")

    ahead = Ahead()
    begun = ahead.begin(asked(run))
    with pytest.raises(MctcError, match="no silence"):
        begun.run(SILENCE)
    ahead.close()


def test_closing_leaves_what_has_not_begun() -> None:
    ahead, began, go_on, ran = Ahead(), Event(), Event(), list[str]()

    def run(item: Any) -> dict[str, np.ndarray]:
        began.set()
        assert go_on.wait(10)
        ran.append(item.name)
        return {}

    ahead.begin(asked(run))
    assert began.wait(10)
    ahead._thread.submit(go_on.set)  # behind the others, so it is called off as well
    ahead._thread.shutdown(wait=False, cancel_futures=True)
    go_on.set()
    ahead.close()
    assert ran == ["noise"]


def test_the_checks_are_the_same_as_one_after_the_other(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    begun = list[str]()
    begin = Ahead.begin
    monkeypatch.setattr(Ahead, "begin", lambda self, each: begun.append(each.check) or begin(self, each))
    one_by_one = [replace(each, seconds=None) for each in Proof(small, None, ["onnx"], ITEMS).checks()]
    assert not begun
    monkeypatch.setattr(OnnxTarget, "own_threads", True)
    beside = [replace(each, seconds=None) for each in Proof(small, None, ["onnx"], ITEMS).checks()]
    assert begun
    assert beside == one_by_one
    assert all(each.ok for each in beside)


def test_large_models_are_asked_one_after_the_other(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnnxTarget, "own_threads", True)
    monkeypatch.setattr(mctc.proof.proof, "is_small", lambda program: False)
    monkeypatch.setattr(mctc.proof.proof, "Ahead", None)
    found = Proof(small, None, ["onnx"], ITEMS[:1]).checks()
    assert all(check.ok is not False for check in found)


def test_a_fault_in_a_runtime_is_a_check_that_fails(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(OnnxTarget, "own_threads", True)

    def broken(*_: object, **__: object) -> None:
        raise MctcError("out of order")

    monkeypatch.setattr(Proof, "over_whole", broken)
    found = {(c.name, c.component): c for c in Proof(small, None, ["onnx"], ITEMS[:1]).checks()}
    wrong = found["onnxruntime, fp32, whole", "encoder"]
    assert (wrong.ok, wrong.measured) == (False, "out of order")
    assert found["onnxruntime, fp32", "encoder"].ok is True
