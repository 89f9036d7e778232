"""`mctc check` tells what a build would refuse: no error of a spec is first told by a pass or a target."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from mctc.diagnostics.diagnostic import Diagnostic
from mctc.diagnostics.errors import MctcError
from mctc.driver.check import check_program
from mctc.driver.make import build
from mctc.driver.options import BuildOptions
from mctc.language import elaborate_file
from mctc.plugins import PluginError

Run = Callable[..., CompletedProcess[str]]
HEAD = """dim B: batch; dim T: time @ 100 Hz; dim U: label; dim V: vocabulary = 30
dim F: feature = 4; dim G: feature = 5
"""
IMPORT = 'import "lib/rnn.mct"\nmodel'
STREAM = "stream { chunk = 8 frames }"


def model(component: str, *more: str, sections: str = STREAM, name: str = "m") -> str:
    return f"model {name} {{\n{HEAD}" + "\n".join([component, *more, sections]) + "\n}\n"


def linear(**names: str) -> str:
    """A component of one linear layer, with other names."""
    n = {"component": "c", "input": "x", "result": "y", "instance": "p", "variable": "z"} | names
    return (
        f"component {n['component']}({n['input']}: f32[B, T, 8]) -> {n['result']}: f32[B, T, 8] {{\n"
        f"{n['variable']} = linear({n['input']}, 8) as {n['instance']}\nreturn {n['variable']} * {n['variable']}\n}}"
    )


def component(inputs: str, result: str, body: str) -> str:
    return f"component c({inputs}) -> {result} {{ return {body} }}"


def checked(text: str, folder: Path, *targets: str) -> list[Diagnostic]:
    (folder / "m.mct").write_text(text)
    return check_program(elaborate_file(folder / "m.mct"), targets)


def refused(text: str, folder: Path, target: str) -> bool:
    """Whether a build for a target refuses it."""
    (folder / "m.mct").write_text(text)
    try:
        build(folder / "m.mct", folder / f"built_{target}", BuildOptions(target=target, force=True))
    except MctcError:
        return True
    return False


FAULTS = {
    "two feature axes": (model(component("x: f32[B, T, F, G]", "f32[B, T, F, G]", "relu(x)")), "MCT0203"),
    "two channel axes": (model(component("x: f32[B, T, 8, 3]", "f32[B, T, 8, 3]", "relu(x)")), "MCT0203"),
    "small groups": (
        model(component("x: f32[B, T, 64]", "f32[B, T, 64]", "linear(x, 64)"),
              sections=STREAM + "; quantize { **: palette(bits = 4, group = 4) }"), "MCT0147"),
    "half a frame": (model(linear(), sections="stream { chunk = 5 ms }"), "MCT0202"),
    "half a stride": (
        model(component("x: f32[B, T, 8]", "f32[B, T/4, 8]", "slice(x, T, stride = 4)"),
              sections="stream { chunk = 10 frames }"), "MCT0202"),
    "a long window": (
        model(component("mel: f32[B, T, 80]", "f32[B, T, 8]", "linear(mel, 8)"),
              sections=STREAM + "; audio { fft = 3 }"), "MCT0207"),
    "samples that are centred": (
        model(component("samples: f32[B, T, 160]", "f32[B, T, 8]", "linear(samples, 8)"),
              sections=STREAM + "; audio { rate = 16 kHz; centred = true }"), "MCT0207"),
    "a centred stream": (
        model(component("mel: f32[B, T, 80]", "f32[B, T, 8]", "linear(mel, 8)"),
              sections=STREAM + "; audio { fft = 400; centred = true }"), "MCT0207"),
    "an input called valid": (
        model(component("valid: f32[B, T, 8]", "f32[B, T, 8]",
                        "conv1d(conv1d(valid, 8, 3, look_ahead = 1) as a, 8, 3, look_ahead = 1)")), "MCT0206"),
    "a prefill's own name": (
        model("component d(x: f32[B, U, 8]) -> f32[B, U, 8] { return conv1d(x, 8, 3) }",
              "component d_prefill(x: f32[B, U, 8]) -> f32[B, U, 8] { return conv1d(x, 8, 3) }",
              sections="utterance { prefill = 4 }"), "MCT0206"),
    "frames that attend to labels": (
        model(component("x: f32[B, U, 8], m: f32[B, T, 8]", "f32[B, T, 8]",
                        "m + attention(linear(m, 8) as q, linear(x, 8) as k, linear(x, 8) as v, heads = 2)"),
              sections="utterance { length = 16 frames; labels = 6 }"), "MCT0209"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_no_target_takes_is_an_error_with_its_place(fault: str, tmp_path: Path) -> None:
    text, code = FAULTS[fault]
    (found,) = checked(text, tmp_path)
    assert found.is_error
    assert found.code == code
    assert found.span is not None
    assert refused(text, tmp_path, "ane")


@pytest.mark.parametrize("word", ["class", "lambda", "None", "forward", "train", "zeros", "__init__", "_modules"])
@pytest.mark.parametrize("what", ["component", "instance"])
def test_names_that_a_module_has_are_told_of_the_targets_that_write_one(what: str, word: str, tmp_path: Path) -> None:
    text = model(linear(**{what: word}))
    told = checked(text, tmp_path)
    assert [found.code for found in told] == ["MCT0206"] * len(told)
    assert not any(found.is_error or found.span is None for found in told)
    assert any("`torch`" in found.message.partition(":")[0] for found in told)
    assert any(found.is_error for found in checked(text, tmp_path, "torch"))


@pytest.mark.parametrize(
    "word", ["class", "lambda", "None", "forward", "self", "torch", "Tensor", "print", "float", "nn"]
)
@pytest.mark.parametrize("what", ["input", "result", "variable"])
def test_other_names_are_free(what: str, word: str, tmp_path: Path) -> None:
    text = model(linear(**{what: word}))
    assert checked(text, tmp_path, "torch", "ane", "onnx") == []
    assert not refused(text, tmp_path, "torch")


@pytest.mark.parametrize("name", ["class", "None", "_", "__init__", "losses", "torch"])
def test_a_model_has_any_name(name: str, tmp_path: Path) -> None:
    text = model(linear(), name=name)
    assert checked(text, tmp_path, "torch") == []
    assert not refused(text, tmp_path, "torch")
    for written in sorted((tmp_path / "built_torch" / "training").glob("*.py")):
        compile(written.read_text(encoding="utf-8"), str(written), "exec")
    assert len(list((tmp_path / "built_torch" / "training").glob("*.py"))) > 5


@pytest.mark.parametrize(("chunk", "told"), [(4, "a call has 4 frames here, no multiple of 8"), (16, None)])
def test_every_chunk_that_a_spec_lists_is_checked(chunk: int, told: str | None, tmp_path: Path) -> None:
    body = component("x: f32[B, T, 8]", "f32[B, T, 8]", "attention(x, x, x, heads = 2, within = 8)")
    text = model(body, sections=f"stream {{ chunk = [8 frames, {chunk} frames] }}")
    found = checked(text, tmp_path)
    assert [(each.code, each.is_error) for each in found] == ([("MCT0201", False)] if told else [])
    assert all("`ane`" in each.message and told in str(each.hint) for each in found if told)
    assert [each.is_error for each in checked(text, tmp_path, "ane")] == [True] * len(found)


def test_blocks_of_frames_tell_what_comes_late(tmp_path: Path) -> None:
    body = "attention(conv1d(x, 8, 3, look_ahead = 1) as y, x, x, heads = 2, within = 4)"
    (found,) = checked(model(component("x: f32[B, T, 8]", "f32[B, T, 8]", body)), tmp_path)
    assert "frames come 1 late here" in str(found.hint)


UTTERANCE = "utterance { length = 16 frames; labels = 6 }"
ALONE = {
    "a cell over features": (
        model(component("x: f32[B, T, F, 8]", "f32[B, T, F, 8]", "lstm(x, 8)")).replace("model", IMPORT, 1),
        ("ane", "coreai"), "row of vectors"),
    "arithmetic on ids": (
        model(component("t: i32[B, U]", "i32[B, U]", "t + t"), sections=""), ("ane",), "computes nothing in i32"),
    "an id as a result": (
        model(component("t: i32[B, U] < 30", "i32[B, U]", "t"), sections=""), ("ane",), "computes nothing"),
    "a lookup alone": (
        model(component("t: i32[B, U] < 5000", "f32[B, U, 8]", "embedding(t, 5000, 8)"), sections=""), ("ane",),
        "it is all that the function does"),
    "a long chunk": (
        model(linear(), sections="stream { chunk = 50000 frames }"),
        ("ane",), "over the limit of 16384"),
    "a number below fp16's": (
        model(component("x: f32[B, T, 8]", "f32[B, T, 8]", "x * 1e-9")), ("ane", "coreai"), "has no place in fp16"),
    "padding in a batch": (
        model(component("x: f32[B, T, 8]", "f32[B, T + 1, 8]", 'op.pad(x, axis = "time", before = 1)'),
              sections=UTTERANCE), ("torch",), "in a padded batch"),
}  # fmt: skip


@pytest.mark.parametrize("fault", ALONE)
def test_what_some_targets_refuse_is_a_warning_that_names_them(fault: str, tmp_path: Path) -> None:
    text, targets, words = ALONE[fault]
    (found,) = checked(text, tmp_path)
    assert not found.is_error
    assert found.span is not None
    assert words in found.message
    assert all(f"`{target}`" in found.message for target in targets)
    assert checked(text, tmp_path, targets[0])[0].is_error
    assert refused(text, tmp_path, targets[0])


@pytest.mark.parametrize(("given", "body"), [("x: f32[B, T, 8]", "relu(linear(x, V))"), ("x: f32[B, T, V]", "x")])
def test_classes_that_are_not_padded_are_a_warning(given: str, body: str, tmp_path: Path) -> None:
    text = model(component(given, "f32[B, T, V]", body))
    (found,) = checked(text, tmp_path)
    assert (found.code, found.is_error) == ("MCT0204", False)
    assert not refused(text, tmp_path, "onnx")


def test_a_call_of_very_many_ops_is_a_warning(tmp_path: Path) -> None:
    given, result = "x: f32[B, T, 400]", "f32[B, T, 90]"
    many = f"component c({given}) -> {result} {{ values, places = top_k(x, 90); return values }}"
    (found,) = checked(model(many), tmp_path)
    assert (found.code, found.is_error) == ("MCT0212", False)
    assert found.span is not None
    assert found.span.text.startswith("top_k")
    few = f"component c({given}) -> f32[B, T, 5] {{ values, places = top_k(x, 5); return values }}"
    assert checked(model(few), tmp_path) == []


def test_more_positions_than_a_table_has(tmp_path: Path) -> None:
    body = "param p: f32[4, 8]; return x + positional_embedding(x, p)"
    text = model(f"component c(x: f32[B, T, 8]) -> f32[B, T, 8] {{ {body} }}", sections=UTTERANCE)
    (found,) = checked(text, tmp_path)
    assert (found.code, found.is_error) == ("MCT0210", True)
    assert "the table has 4 rows" in found.message


def test_a_model_that_does_not_say_how_long_a_call_is(tmp_path: Path) -> None:
    text = model(linear(), sections="")
    (found,) = checked(text, tmp_path)
    assert (found.code, found.is_error) == ("MCT0205", False)
    assert "targets `ane` and `coreai`" in found.message
    (found,) = checked(text, tmp_path, "ane")
    assert found.is_error
    assert checked(text, tmp_path, "onnx")[0].is_error is False
    assert refused(text, tmp_path, "ane")
    assert not refused(text, tmp_path, "torch")


def test_ports_that_would_have_one_name(tmp_path: Path) -> None:
    text = model(component("x: f32[B, T, 8], c_cv_context: f32[B, T, 8]", "f32[B, T, 8]",
                           "c_cv_context + (conv1d(x, 8, 3) as cv)"))  # fmt: skip
    (found,) = checked(text, tmp_path)
    assert found.message == "targets `mlx` and `onnx`: two inputs, results or states of `c` are called `c_cv_context`"
    assert not found.is_error


@pytest.mark.parametrize("name", ["state", "state_out"])
def test_the_packed_state_gives_way_to_a_port(name: str, tmp_path: Path) -> None:
    text = model(component("x: f32[B, T, 8]", f"{name}: f32[B, T, 8]", "conv1d(x, 8, 3)"))
    assert checked(text, tmp_path, "ane") == []
    assert not refused(text, tmp_path, "ane")


def test_a_file_that_two_components_would_have(tmp_path: Path) -> None:
    text = model(linear(), linear(component="c_whole"))
    (found,) = checked(text, tmp_path)
    assert found.message.startswith("target `onnx`: `c_whole` is what the model of `c`")


def test_an_audio_section_about_nothing(tmp_path: Path) -> None:
    (found,) = checked(model(linear(), sections=STREAM + "; audio { fft = 512 }"), tmp_path)
    assert (found.code, found.is_error) == ("MCT0207", False)


RULES = {
    "palette(bits = 4, group = 16)": "for example `group = 15`; there are 120 output channels",
    "palette(bits = 4, group = 24)": None,
}


@pytest.mark.parametrize("rule", RULES)
def test_groups_that_do_not_divide_are_told_at_the_rule(rule: str, tmp_path: Path) -> None:
    text = model(component("x: f32[B, T, 64]", "f32[B, T, 120]", "linear(x, 120)"),
                 sections=f"{STREAM}; quantize {{ **: {rule} }}")  # fmt: skip
    found = checked(text, tmp_path)
    assert [(each.code, each.hint, each.is_error) for each in found] == (
        [("MCT0149", RULES[rule], False)] if RULES[rule] else []
    )
    assert all(each.span is not None and each.span.text == "**" for each in found)


def test_a_rule_that_stores_nothing_is_told(tmp_path: Path) -> None:
    body = "param g: f32[64]; return depthwise_conv1d(linear(x, 64) * g, kernel = 33)"
    rules = "quantize { c.g: int4; c.depthwise_conv1d: palette(bits = 4); **: int8 }"
    text = model(f"component c(x: f32[B, T, 64]) -> f32[B, T, 64] {{ {body} }}", sections=f"{STREAM}; {rules}")
    first, second = checked(text, tmp_path)
    assert first.message == "`c.g` stores nothing as int4"
    assert "ANE-QT-015" in second.message
    assert [each.span.text for each in (first, second) if each.span] == ["c.g", "c.depthwise_conv1d"]


def test_an_unknown_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="there is no target `anne`"):
        checked(model(linear()), tmp_path, "anne")


def test_the_command_tells_errors_before_warnings_and_a_build_the_warnings(mctc: Run, tmp_path: Path) -> None:
    (tmp_path / "m.mct").write_text(model(linear(instance="class"), sections=""))
    done = mctc("check", "--format", "json", "m.mct")
    assert done.returncode == 0
    assert [each["code"] for each in json.loads(done.stdout)] == ["MCT0205", "MCT0206"]
    done = mctc("check", "--target", "ane", "--format", "json", "m.mct")
    assert done.returncode == 1
    assert [each["severity"] for each in json.loads(done.stdout)] == ["error", "warning"]
    text = model(component("x: f32[B, T, 64]", "f32[B, T, 120]", "linear(x, 120)"),
                 sections=f"{STREAM}; quantize {{ **: palette(bits = 4, group = 16) }}")  # fmt: skip
    (tmp_path / "m.mct").write_text(text)
    done = mctc("build", "m.mct", "--target", "torch")
    assert done.returncode == 0
    assert "warning[MCT0149]" in done.stderr


def test_a_number_that_fp16_can_not_hold_is_told_of_the_targets_that_store_it(tmp_path: Path) -> None:
    text = model(component("x: f32[B, T, 8]", "f32[B, T, 8]", "x * 1e-9"))
    (found,) = checked(text, tmp_path)
    assert (found.code, found.is_error) == ("MCT0208", False)
    assert "`ane` and `coreai`" in found.message
    assert any(each.is_error for each in checked(text, tmp_path, "coreai"))
