"""Labels beside time: a call takes one, so nothing may run along them; a fixed number of them comes whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.ir.program import Program
from mctc.language import elaborate_file
from mctc.streaming.derive import derive_program

ALONG = {
    "softmax": 'softmax(enc + pred, axis = "label")',
    "log_softmax": "log_softmax(enc + pred, axis = U)",
    "reduce_mean": 'enc + pred - reduce_mean(pred, axis = "label")',
    "reduce_max": "enc + pred * reduce_max(enc + pred, axis = U)",
    "lstm": "enc + lstm(pred, 4)",
    "gru": "enc + gru(pred, 4)",
    "conv1d": "enc + conv1d(pred, 4, 3)",
    "attention": "enc + pred + attention(enc, pred, pred, heads = 2)",
    "attention ": "enc + attention(pred, pred, pred, heads = 2, left = 2, right = 0)",
    "reverse": "enc + reverse(pred, axis = U)",
    "concat": "enc + reduce_sum(concat(pred, pred, axis = U), axis = U) + pred",
    "slice": "enc + pred + reduce_max(slice(pred, axis = U, stride = 5), axis = U)",
    "positional_embedding": "enc + pred + op.positional_embedding(pred, table)",
}
POINTWISE = {
    "norm": "layer_norm(enc + pred)",
    "softmax over channels": "softmax(linear(tanh(enc + pred), 4))",
    "a kernel of one label": "enc + conv1d(pred, 4, 1)",
    "a window over time": "conv1d(enc + pred, 4, 3, look_ahead = 1)",
    "a recurrence over time": "gru(enc + pred, 4)",
    "a whole slice": "enc + slice(pred, axis = U)",
}


def joiner(folder: Path, body: str, labels: str = "label") -> Program:
    path = folder / "m.mct"
    path.write_text(
        "model m {\n    dim B: batch\n    dim T: time @ 100 Hz\n"
        f"    dim U: {labels}\n    param table: f32[9, 4]\n"
        "    component joiner(enc: f32[B, T, 4], pred: f32[B, U, 4]) -> f32[B, T, U, 4] {\n"
        f"        return {body}\n    }}\n}}\n"
    )
    return elaborate_file(path)


@pytest.mark.parametrize("op", ALONG)
def test_an_op_along_labels_is_refused_beside_time(op: str, tmp_path: Path) -> None:
    made = joiner(tmp_path, ALONG[op])
    with pytest.raises(DiagnosticError) as caught:
        derive_program(made, 4)
    (found,) = caught.value.diagnostics
    assert found.code == "MCT0209"
    assert found.message.startswith(f"{op.strip()} runs along the labels of U")
    assert found.span is not None
    assert found.span.source.name.endswith("m.mct")


@pytest.mark.parametrize("what", POINTWISE)
def test_what_takes_label_by_label_is_streamed(what: str, tmp_path: Path) -> None:
    info = derive_program(joiner(tmp_path, POINTWISE[what]), 4)[1]["joiner"]
    assert info.labels == {"pred": 1, "output": 1}


@pytest.mark.parametrize("op", ALONG)
def test_a_fixed_number_of_labels_comes_in_one_call(op: str, tmp_path: Path) -> None:
    step = derive_program(joiner(tmp_path, ALONG[op], "label = 5"), 4)[0].functions["joiner"]
    assert [str(value.type) for value in step.inputs] == [
        "f32[batch 1, time 4, channel 4]", "f32[batch 1, label 5, channel 4]"
    ]  # fmt: skip


LABELS = """
model m {{
    dim B: batch
    dim U: label
    dim P: {phrases}
    component c(x: f32[B, U, 4], p: f32[B, P, 4]) -> f32[B, U, 4] {{
        return lstm(x + attention(x, p, p, heads = 1), 4)
    }}
}}
"""


def test_labels_of_two_dimensions_are_refused_unless_one_is_fixed(tmp_path: Path) -> None:
    path = tmp_path / "m.mct"
    path.write_text(LABELS.format(phrases="label"))
    with pytest.raises(DiagnosticError, match="labels of P and U") as caught:
        derive_program(elaborate_file(path), 1)
    assert caught.value.diagnostics[0].code == "MCT0209"
    path.write_text(LABELS.format(phrases="label = 6"))
    info = derive_program(elaborate_file(path), 1)[1]["c"]
    assert info.frames == {"x": 1, "output": 1}


def test_a_fraction_of_a_label_is_refused_with_the_way_to_write_it(tmp_path: Path) -> None:
    path = tmp_path / "m.mct"
    halves = "component c(x: f32[U, 4]) -> f32[U/2, 4] { return conv1d(x, 4, 2, stride = 2, look_ahead = 1) }"
    path.write_text(f"model m {{\n    dim U: label\n    {halves}\n}}\n")
    with pytest.raises(DiagnosticError, match="takes 1 of U a call") as caught:
        derive_program(elaborate_file(path), 1)
    assert "`2 * U`" in (caught.value.diagnostics[0].hint or "")
