"""Where numbers end: named by op, instance and line, in builds, in verify and in a pass."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mctc.cli.verify import verify
from mctc.diagnostics.errors import MctcError
from mctc.driver import BuildOptions, build
from mctc.ir.rounding import Rounding
from mctc.ir.text import parse_program
from mctc.numerics.undefined import first_undefined, told

SPEC = """model m(width = 8) {{
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, width]) -> f32[B, T, width] {{
        y = linear(x, width)
        return {body}
    }}
    stream {{ chunk = 80 ms }}
}}
"""


def spec(folder: Path, body: str) -> Path:
    path = folder / "m.mct"
    path.write_text(SPEC.format(body=body), encoding="utf-8")
    return path


def test_the_first_op_is_found_as_numbers_are_and_as_rounding_leaves_them() -> None:
    function = parse_program(
        "function @f(%x: f32[channel 4]) { %a = scale(%x, factor = 1000.0) %b = mul(%a, %a) return y = %b }"
    ).functions["f"]
    inputs = {"x": np.full(4, 10.0)}
    assert first_undefined(function, inputs, lambda _: np.zeros(0)) is None
    found = first_undefined(function, inputs, lambda _: np.zeros(0), rounding=Rounding(np.float16))
    assert found is not None
    assert told(found).startswith("mul")


def test_attention_whose_scores_are_beyond_its_masks_is_found_where_numbers_are_rounded() -> None:
    function = parse_program(
        "function @f(%x: f32[time T, channel 2], %y: f32[time T, channel 2]) { %a = scale(%x, factor = 1.0) "
        "%b = attention(%a, %y, %y, heads = 1, left = 1, right = 0) return y = %b }"
    ).functions["f"]
    for size, expected in ((50.0, None), (150.0, "attention")):
        inputs = {name: np.full((3, 2), size) for name in "xy"}
        found = first_undefined(function, inputs, lambda _: np.zeros(0), rounding=Rounding(np.float16))
        assert (found and found.name) == expected
        assert first_undefined(function, inputs, lambda _: np.zeros(0)) is None


def test_a_build_whose_results_are_finite_nowhere_is_refused_with_the_op_and_its_line(tmp_path: Path) -> None:
    with pytest.raises(MctcError, match=r"nowhere finite on noise: log.* at .*m\.mct:6:16 is the first"):
        build(spec(tmp_path, "log(y - 100)"), tmp_path / "out", BuildOptions())
    assert not (tmp_path / "out").exists()


def test_where_some_numbers_are_none_the_rest_is_compared_and_a_warning_names_the_line(tmp_path: Path) -> None:
    built = build(spec(tmp_path, "sqrt(y)"), tmp_path / "out", BuildOptions()).manifest
    (told_of,) = {entry["undefined"] for entry in built["verification"] if "undefined" in entry}
    assert told_of.startswith("sqrt")
    assert "m.mct:6:16 is the first op that is not finite, on noise" in told_of


def test_verify_warns_of_what_the_reference_cannot_say_and_of_what_fp16_cannot_hold(tmp_path: Path) -> None:
    build(spec(tmp_path, "exp(y)"), tmp_path / "out", BuildOptions())
    done = CliRunner().invoke(verify, [str(tmp_path / "out"), "--no-runtimes", "--json"], standalone_mode=False)
    assert done.exception is None
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    (told_of,) = checks["IR reference, whole"]["notes"]
    assert told_of == "c: fp16 can't hold conv2d of c.y at m.mct:5:13 on largest numbers: not compared there"
    assert checks["package evaluator, fp16"]["ok"] is True
    assert "dB" in checks["package evaluator, fp16"]["measured"]


def test_numbers_that_are_not_fed_are_not_warned_of(tmp_path: Path) -> None:
    build(spec(tmp_path, "exp(y)"), tmp_path / "out", BuildOptions())
    words = [str(tmp_path / "out"), "--no-runtimes", "--json", "--input", "noise"]
    checks = {check["name"]: check for check in json.loads(CliRunner().invoke(verify, words).stdout)}
    assert checks["IR reference, whole"]["notes"] == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("sqrt(square(y * 10000))", r"on noise, is not finite in fp16: square.* at .*m\.mct:6:21"),
        ("y + 1 / (abs(x) + 0.00001)", r"on silence, is not finite in fp16: reciprocal.* at .*m\.mct:6:20"),
    ],
)
def test_a_build_that_loses_numbers_in_fp16_is_refused_with_the_op_and_its_line(
    tmp_path: Path, body: str, named: str
) -> None:
    with pytest.raises(MctcError, match=named):
        build(spec(tmp_path, body), tmp_path / "out", BuildOptions())
    assert build(spec(tmp_path, body), tmp_path / "fp32", BuildOptions(target="onnx")).manifest["verification"]


def test_states_that_no_utterance_has_refuse_no_build(tmp_path: Path) -> None:
    """The running count is 0.5 and more behind any frame; half of a noisy state is below 0."""
    path = tmp_path / "count.mct"
    path.write_text("""model m() {
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, 64]) -> f32[B, T, 64] {
        scan n: f32[B, T, 64] { n = 0.5 * n + 0.5 }
        return linear(x / maximum(n, 0.000001), 64) as out
    }
    stream { chunk = 40 ms }
}
""")
    assert build(path, tmp_path / "out", BuildOptions()).manifest["verification"]
