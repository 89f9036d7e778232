"""Random programs through everything that is installed, and proof that what goes wrong there is found."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("hypothesis")

from bench.fuzz.batch import Batch, run_batch
from bench.fuzz.broken import Broken, check_broken, check_damaged
from bench.fuzz.findings import FindingError
from bench.fuzz.pipeline import run_text
from bench.fuzz.runtimes import RUNTIMES
from mctc.diagnostics.errors import MctcError
from mctc.driver.options import BuildOptions

SPEC = """
model small(width = 4) {
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(x: f32[B, T, width]) -> f32[B, T, width] {
        y = conv1d(tanh(x), width, 3, look_ahead = 1)
        return lstm(y, width)
    }
    stream { chunk = 4 frames }
}
"""
OPTIONS = BuildOptions()


@pytest.mark.quick("3")
@pytest.mark.parametrize("count", [3, 10])
def test_random_programs_agree_everywhere(count: int) -> None:
    tally = run_batch(Batch(seed=2026, count=count))
    assert tally.failures == []
    assert tally.programs == count
    installed = {runtime.name for runtime in RUNTIMES if runtime.installed}
    assert set(tally.ran) - {"training"} == installed | {"ir-step"}  # the loss of those that have one


@pytest.mark.parametrize("kind", ["broken", "damaged"])
def test_wrong_specs_end_in_messages(kind: str) -> None:
    tally = run_batch(Batch(seed=2026, count=20, kind=kind))
    assert tally.failures == []
    assert tally.broken + tally.damaged == 20


def test_a_small_spec_is_seen_whole() -> None:
    outcome = run_text(SPEC, OPTIONS, streams=True, runtimes=["package"])
    assert set(outcome.errors) == {"ir-step", "package"}
    assert outcome.covered["time"] == ["pointwise", "recurrent", "window left right"]
    assert outcome.refused == []


def test_a_fault_in_an_emitter_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from mctc.targets.ane.rules import RULES

    monkeypatch.setitem(RULES, "tanh", RULES["sigmoid"])  # type: ignore[index]
    with pytest.raises(FindingError, match=r"package: .*differs"):
        run_text(SPEC, OPTIONS, runtimes=["package"])


def test_a_fault_in_a_pass_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from mctc.passes.lower_rnn import LowerRnn

    run = LowerRnn.run

    def halved(self: Any, program: Any, context: Any) -> Any:
        from mctc.rewrite.rewriter import rewrite

        rule = lambda op, r: r.op("scale", r.copy(op)[0], factor=0.5) if op.name == "sigmoid" else None  # noqa: E731
        return rewrite(run(self, program, context), "halve", rule)

    monkeypatch.setattr(LowerRnn, "run", halved)
    with pytest.raises(FindingError, match="compile for ane: pass lower-rnn promised"):
        run_text(SPEC, OPTIONS, runtimes=["package"])


def test_a_formatter_that_changes_the_program_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.fuzz.pipeline.format_source", lambda text: text.replace("tanh", "sin"))
    with pytest.raises(FindingError, match="format: the formatted spec is another program"):
        run_text(SPEC, OPTIONS, runtimes=[])


def test_a_valid_spec_that_is_refused_is_found() -> None:
    with pytest.raises(FindingError, match="language: a valid spec is refused"):
        run_text(SPEC.replace("tanh(x)", "tahn(x)"), OPTIONS, runtimes=[])


def test_an_exception_that_is_no_message_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(path: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr("bench.fuzz.pipeline.elaborate_file", crash)
    with pytest.raises(FindingError, match="elaborate: IndexError"):
        run_text(SPEC, OPTIONS, runtimes=[])


def test_a_broken_spec_that_builds_is_found() -> None:
    with pytest.raises(FindingError, match="nothing is wrong: it builds"):
        check_broken(Broken("nothing is wrong", SPEC, OPTIONS))


def test_a_message_without_a_place_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise MctcError("something is wrong somewhere")

    monkeypatch.setattr("bench.fuzz.broken.elaborate_file", refuse)
    with pytest.raises(FindingError, match="no place is named"):
        check_damaged(SPEC)
