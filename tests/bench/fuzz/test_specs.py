"""The generator reaches every op and every form of the language, and what it writes is valid."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, Phase, given, seed, settings

from bench.fuzz import files
from bench.fuzz.body import Body, Shared, Tensor
from bench.fuzz.broken import FAULTS
from bench.fuzz.builds import as_text, builds, from_text
from bench.fuzz.campaign import SIZE
from bench.fuzz.forms import FORMS as FORMS_OF_PROGRAMS
from bench.fuzz.forms import forms
from bench.fuzz.generators.pointwise import is_pointwise, stated
from bench.fuzz.specs import Spec, specs
from mctc.ir.declared import registry
from mctc.ir.op import Op
from mctc.ir.ops.elementwise import Cast
from mctc.ir.time import TimeBehaviour, Window
from mctc.language import elaborate_file, format_source

BATCHES, MOST_BATCHES = 20, 60  # rare ops take more: what hypothesis draws depends on what else is imported
SPELLED = {
    "fake_quantize": "activations = 8", "scan": "scan ", "scan_state": "scan ",
    "matmul": " @ ", "parameter": "param ", "reciprocal": "1 / (", "scale": "0.5 * ", "sub": " - 0.5 * reduce_",
}  # ops that no call writes  # fmt: skip
FORMS = (
    "repeat ", "if ", "} else {", "assert ", "import ", "block ", " as ", "quantize {", "stream {", "train {",
    "int8(per_channel)", "int4(per_channel)", "palette(bits = 4, group = 8)", "none", "dim F: feature", "left = ",
    "right = ", "stride = 2", "dilation = 2", "kv_heads = 1", "component encoder", "component predictor",
    "component joiner", "component decoder", "component watcher", "i32[U] < V", "width // 2", "utterance {",
    "within = ", "before = ", "bias = ",
    "prefill = 2", "dim P: label = 5", "2 * T", "T/2", "bool[", "in {0, 1}", "> 0", "in [", " ms }",
)  # fmt: skip


@pytest.fixture(scope="module")
def written() -> list[Spec]:
    """In batches, as a run writes them: within one, hypothesis varies what it wrote before."""
    return [spec for number in range(BATCHES) for spec in batch(number)]


def batch(number: int) -> list[Spec]:
    made: list[Spec] = []
    quiet = settings(
        max_examples=SIZE,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )

    @seed(number + 22)
    @quiet
    @given(specs())
    def write(spec: Spec) -> None:
        made.append(spec)

    write()
    return made


def test_every_op_is_written(written: list[Spec]) -> None:
    missing = list(registry())
    for drawn in chain([written], map(batch, range(BATCHES, MOST_BATCHES))):
        text = "\n".join(spec.text for spec in drawn)
        missing = [n for n in missing if SPELLED.get(n, "\0") not in text and not re.search(rf"\b{n}\(", text)]
        if not missing:
            return
    pytest.fail(f"not written in {MOST_BATCHES} batches: {', '.join(missing)}")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_language_is_written(form: str, written: list[Spec]) -> None:
    assert any(form in spec.text for spec in written)


def test_what_is_written_parses(written: list[Spec]) -> None:
    for spec in written[:20]:
        format_source(spec.text)


def test_specs_with_and_without_a_stream_are_drawn(written: list[Spec]) -> None:
    assert set(Counter(spec.streams for spec in written)) == {True, False}


def test_a_chunk_is_whole_frames_of_every_dimension(written: list[Spec]) -> None:
    assert all(spec.multiple >= 1 for spec in written)
    assert any(spec.multiple > 4 for spec in written)


@pytest.mark.slow
def test_every_form_occurs(written: list[Spec], tmp_path: Path) -> None:
    seen: set[str] = set()
    for spec in written:
        path = tmp_path / "spec.mct"
        path.write_text(spec.text)
        files.write(spec.text, tmp_path)
        seen |= forms(elaborate_file(path))
    assert sorted(FORMS_OF_PROGRAMS.keys() - seen) == []


def test_an_op_is_written_as_its_class_says() -> None:
    class Leaky(Op):
        name, drawn = "leaky", "op.{name}({bounded}, {partner})"

        def behaviour(self) -> TimeBehaviour:
            return Window(1, 0, 1, ("x",), ())

    assert is_pointwise(Cast)
    assert not is_pointwise(Leaky)
    body = Body(Shared(lambda strategy: strategy.elements[0], {}, True))
    body.pool = [Tensor("x1", 4)]
    made = stated([Leaky])(body)
    assert body.lines == [f"{made.name} = op.leaky(tanh(x1), x1)"]


def test_options_are_written_and_read() -> None:
    @settings(max_examples=50, database=None, deadline=None)
    @given(builds(4))
    def same(options: object) -> None:
        assert from_text(as_text(options)) == options  # type: ignore[arg-type]

    same()


def test_faults_differ() -> None:
    assert len({(fault.what, fault.text) for fault in FAULTS}) == len(FAULTS) >= 80
