"""The public Python API, as the cells of a notebook use it: load, build, open, lint."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mctc
from mctc.audio import load_audio
from mctc.driver import BuildOptions
from mctc.ir.printer import print_program
from mctc.runtime.model import Model
from tests.said import SAID

SPEC = """
model smooth(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(x: f32[B, T, 4]) -> f32[B, T, width] {
        return conv1d(linear(x, width) as mix, width, kernel = 3) as past
    }
    stream { chunk = 80 ms }
}
"""
CHUNKS = np.random.default_rng(0).normal(size=(3, 1, 8, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("notebook") / "smooth.mct"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def folder(spec: Path) -> Path:
    return mctc.build(spec, spec.parent / "smooth").folder


def port(model: Model, chunk: np.ndarray) -> np.ndarray:
    """A chunk [1, time, channels] in the layout of the model's input."""
    batch, *_, frames = model.function("encoder").shapes["x"]
    return chunk.transpose(0, 2, 1).reshape(batch, -1, 1, frames)


def test_a_spec_is_loaded_as_a_program(spec: Path) -> None:
    program = mctc.load(spec, defines={"width": 6})
    (result,) = program.functions["encoder"].results
    assert [str(extent) for extent in result[1].type.extents] == ["B", "T", "6"]


def test_what_is_wrong_with_a_spec_is_raised_with_its_code_and_place(tmp_path: Path) -> None:
    (tmp_path / "wrong.mct").write_text(SPEC.replace("linear(x", "linnear(x"))
    with pytest.raises(mctc.DiagnosticError, match="linnear") as caught:
        mctc.load(tmp_path / "wrong.mct")
    (found,) = caught.value.diagnostics
    assert isinstance(caught.value, mctc.MctcError)
    assert found.code.startswith("MCT")
    assert found.span is not None
    assert "linear" in (found.hint or "")
    with pytest.raises(mctc.DiagnosticError):
        mctc.build(tmp_path / "wrong.mct", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_build_has_its_folder_and_its_manifest(spec: Path, tmp_path: Path) -> None:
    built = mctc.build(str(spec), str(tmp_path / "out"), defines={"width": 6}, chunk="160 ms", state="separate")
    assert built.folder == tmp_path / "out"
    assert built.manifest["stream"]["chunk_frames"] == 16
    assert built.manifest["options"]["state"] == "separate"


def test_build_has_an_argument_for_every_option() -> None:
    arguments = set(signature(mctc.build).parameters) - {"spec", "out"}
    assert arguments == {field.name for field in fields(BuildOptions)}


def test_options_that_a_target_has_not_are_refused(spec: Path, tmp_path: Path) -> None:
    with pytest.raises(mctc.MctcError, match="no target `annie`"):
        mctc.build(spec, tmp_path / "out", target="annie")
    with pytest.raises(mctc.MctcError, match="no length of a chunk"):
        mctc.build(spec, tmp_path / "out", chunk="a while")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"target": 3}, "target"),
        ({"seed": "1"}, "seed"),
        ({"seed": None}, "seed"),
        ({"weights": 3}, "weights"),
        ({"chunk": [320, 80]}, "chunk"),
        ({"chunk": 0}, "a chunk of 0 frames"),
        ({"chunk": -4}, "a chunk of -4 frames"),
        ({"without": "pack-states"}, "without"),
        ({"without": [3]}, "without"),
        ({"passes": ["pack-states"]}, "passes"),
        ({"passes": {"pack-states": 3}}, "pack-states"),
        ({"budgets": ["compile=10s"]}, "budgets"),
        ({"defines": ["width=8"]}, "defines"),
        ({"defines": {3: 8}}, "a name in defines"),
        ({"defines": {"width": {8}}}, "width"),
    ],
)
def test_an_argument_of_a_wrong_type_is_named(given: dict[str, Any], named: str, spec: Path, tmp_path: Path) -> None:
    with pytest.raises(mctc.MctcError, match=re.escape(named)) as caught:
        mctc.build(spec, tmp_path / "built", **given)
    assert caught.value.hint
    assert not (tmp_path / "built").exists()


@pytest.mark.parametrize("given", [{"shapes": {"x": 3}}, {"shapes": {"x": ("a",)}}, {"severity": {"ANE-CV-001": 3}}])
def test_a_shape_or_a_severity_of_a_wrong_type_is_named(given: dict[str, Any], folder: Path) -> None:
    with pytest.raises(mctc.MctcError, match=r"(shapes\['x'\]|severity\['ANE-CV-001'\]) can't be"):
        mctc.lint(folder, **given)


@pytest.mark.parametrize("chunk", [0.08, "80ms", None])
def test_a_chunk_to_switch_to_is_exact(chunk: Any, folder: Path) -> None:
    with pytest.raises(mctc.MctcError, match="chunk can't be"):
        mctc.open(folder).built.at(chunk)


def test_no_path_is_named_as_such() -> None:
    for call in (mctc.load, mctc.build, mctc.open, mctc.lint):
        with pytest.raises(mctc.MctcError, match="can't be 3"):
            call(3)  # type: ignore[operator]


def test_a_path_where_nothing_lies_is_named(tmp_path: Path) -> None:
    for name in ("none", "none.onnx", "none.mlpackage"):
        with pytest.raises(mctc.MctcError, match=f"{name}: there is no such build or package"):
            mctc.open(tmp_path / name)


def test_numbers_of_numpy_define_a_model(spec: Path) -> None:
    given, plain = (mctc.load(spec, defines={"width": number}) for number in (np.int64(4), 4))
    assert print_program(given) == print_program(plain)


def test_steps_carry_their_state_until_they_are_reset(folder: Path) -> None:
    model = mctc.open(folder, "fp32")
    first, *_ = (model.step("encoder", x=port(model, chunk)) for chunk in CHUNKS)
    alone = mctc.open(folder, "fp32").step("encoder", x=port(model, CHUNKS[1]))
    model.reset()
    again = model.step("encoder", {"x": port(model, CHUNKS[0])})
    second = model.step(None, x=port(model, CHUNKS[1]))
    (name,) = first
    assert np.array_equal(again[name], first[name])
    assert np.abs(second[name] - alone[name]).max() > 1e-3


def test_functions_have_states_of_their_own(folder: Path) -> None:
    model = mctc.open(folder)
    one, other = model.function("encoder"), model.function("encoder")
    (name,) = one(x=port(model, CHUNKS[0]))
    one(x=port(model, CHUNKS[0]))
    assert one.inputs == ("x",)
    assert {key: array.any() for key, array in other.states().items()} == dict.fromkeys(one.states(), False)
    assert all(array.any() for array in one.states().values())
    assert not np.array_equal(one(x=port(model, CHUNKS[1]))[name], other(x=port(model, CHUNKS[1]))[name])


@pytest.mark.parametrize("target", ["onnx", "torch", "coreai"])
def test_every_runtime_computes_the_same_steps(target: str, spec: Path, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip({"onnx": "onnxruntime", "torch": "torch", "coreai": "coreai"}[target])
    arithmetic = "fp16" if target == "coreai" else "fp32"  # the one that its artifacts are built in
    others = mctc.open(mctc.build(spec, tmp_path / target, target=target).folder, arithmetic)
    model = mctc.open(folder, "fp32")
    assert others.runtime != model.runtime
    for chunk in CHUNKS:
        (expected,) = model.step("encoder", x=port(model, chunk)).values()
        shape = others.function("encoder").shapes["x"]
        given = chunk.reshape(shape) if len(shape) == 3 and shape[1] == 8 else port(model, chunk).reshape(shape)
        (found,) = others.step("encoder", x=given).values()
        if found.shape[-1] != expected.shape[-1] or found.ndim == 3:
            found = found.transpose(0, 2, 1)
        assert np.allclose(found.reshape(expected.shape), expected, atol=1e-5 if arithmetic == "fp32" else 5e-3)


@pytest.mark.parametrize("arithmetic", ["fp16", "fp32", "engine"])
def test_a_package_alone_has_steps_in_any_arithmetic(arithmetic: str, folder: Path) -> None:
    model, package = mctc.open(folder, arithmetic), mctc.open(folder / "smooth.mlpackage", arithmetic)
    for chunk in CHUNKS:
        (expected,) = model.step("encoder", x=port(model, chunk)).values()
        (found,) = package.step(None, x=port(model, chunk)).values()
        assert np.array_equal(found, expected)
    with pytest.raises(mctc.MctcError, match="a package alone"):
        package.stream()


def test_inputs_that_do_not_fit_are_named(folder: Path) -> None:
    model = mctc.open(folder)
    with pytest.raises(mctc.MctcError, match="takes `x` too"):
        model.step("encoder")
    with pytest.raises(mctc.MctcError, match="no input `mel`"):
        model.step("encoder", mel=CHUNKS[0])
    with pytest.raises(mctc.MctcError, match=r"x is \[2\], and the function takes \[1, 4, 1, 8\]"):
        model.step("encoder", x=[1.0, 2.0])
    with pytest.raises(mctc.MctcError, match="no function `decoder`"):
        model.step("decoder")


def test_rows_of_several_lengths_are_no_input(folder: Path) -> None:
    with pytest.raises(mctc.MctcError, match="input x is no array"):
        mctc.open(folder).step("encoder", x=[[1], [1, 2]])


def test_ids_are_given_as_a_plain_list_and_held_to_their_bound(small: Path) -> None:
    model = mctc.open(small)
    ids, inputs = [3], model.function("predictor").shapes
    (name,) = (name for name in inputs if np.prod(inputs[name]) == 1)
    assert model.step("predictor", {name: ids})
    with pytest.raises(mctc.MctcError, match="the spec says"):
        model.step("predictor", {name: [10_000]})
    with pytest.raises(mctc.MctcError, match="the spec says"):
        model.step("predictor", {name: [0.5]})


def test_a_recording_or_its_samples_are_transcribed(said: Path) -> None:
    model = mctc.open(said / "trained")
    found = model.transcribe(said / "pause.wav")
    assert str(found) == found.text == f"{SAID} {SAID}"
    assert [passage.text for passage in found.passages] == [SAID, SAID]
    assert [word.text for word in found.words] == 2 * SAID.split()
    assert found.passages[1].start == pytest.approx(5.0, abs=0.05)
    samples = load_audio(said / "pause.wav")
    assert model.transcribe(samples).words == found.words
    assert model.transcribe(np.repeat(samples, 2), 32_000).text == found.text


def test_a_stream_is_pushed_to_and_closed(said: Path) -> None:
    stream = mctc.open(said / "trained").stream()
    events = [event for chunk in np.split(load_audio(said / "talks/one.wav"), 3) for event in stream.push(chunk)]
    events += stream.close()
    assert [event.text for event in events if event.kind == "final"] == [SAID]


def test_a_build_that_says_nothing_is_refused_where_words_are_asked_for(said: Path, folder: Path) -> None:
    with pytest.raises(mctc.MctcError, match="is untrained"):
        mctc.open(said / "untrained").transcribe(said / "pause.wav")
    with pytest.raises(mctc.MctcError, match="has no tokens"):
        mctc.open(said / "nameless").transcribe(said / "pause.wav")
    with pytest.raises(mctc.MctcError, match="nowhere"):
        mctc.open(said / "nowhere")


def test_a_package_is_linted(folder: Path) -> None:
    found = mctc.lint(folder, device="m4")
    (report,) = found.reports
    assert "M4" in report.target
    assert found.findings == report.findings
    assert "smooth.mlpackage" in str(found)
    assert found._repr_html_().startswith("<!doctype html>")


def test_rules_are_chosen_and_weighed(folder: Path) -> None:
    everything = mctc.lint(folder / "smooth.mlpackage").findings
    code = everything[0].rule.code
    assert {each.rule.code for each in mctc.lint(folder, select=[code]).findings} == {code}
    assert code not in {each.rule.code for each in mctc.lint(folder, ignore=[code]).findings}
    (weighed, *_) = mctc.lint(folder, select=[code], severity={code: "error"}).findings
    assert weighed.severity == "error"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "m0"}, "m0"),
        ({"shapes": {"nothing": (1, 2)}}, "nothing"),
        ({"select": ["ANE-QQ"]}, "no rule begins with"),
        ({"severity": {"ANE-ST": "bad"}}, "no severity `bad`"),
    ],
)
def test_what_lint_cannot_do_is_said(given: dict[str, object], message: str, folder: Path) -> None:
    with pytest.raises(mctc.MctcError, match=message):
        mctc.lint(folder, **given)  # type: ignore[arg-type]


def test_a_package_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.mlpackage").mkdir()
    with pytest.raises(mctc.MctcError, match="broken"):
        mctc.lint(tmp_path / "broken.mlpackage")
    with pytest.raises(mctc.MctcError, match="no such file"):
        mctc.lint(tmp_path / "nowhere.mlpackage")
    with pytest.raises(mctc.MctcError, match="nothing to check"):
        mctc.lint()


def test_importing_mctc_imports_nothing_of_weight_and_the_names_stay_functions(spec: Path) -> None:
    script = (
        "import sys, mctc; before = {n for n in sys.modules if n.startswith('mctc')};"
        "assert 'numpy' not in sys.modules;"
        "assert before == {'mctc', 'mctc.lazy_names', 'mctc.version'}, before;"
        f"mctc.load({str(spec)!r}); mctc.build; import mctc.linter.coreml.lint, mctc.driver.make;"
        "assert callable(mctc.build) and callable(mctc.lint) and callable(mctc.load) and callable(mctc.open)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


@pytest.mark.parametrize("path", ["below/a/file", "a\0b", "a" * 300, "b" * 5000], ids=["below", "nul", "name", "long"])
def test_paths_that_no_system_has_are_told(spec: Path, folder: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "below").write_text("a file")
    wrong = str(tmp_path / path)
    for call in (
        lambda: mctc.load(wrong),
        lambda: mctc.build(wrong, tmp_path / "out"),
        lambda: mctc.build(spec, wrong),
        lambda: mctc.build(spec, tmp_path / "out", tokens=wrong),
        lambda: mctc.build(spec, tmp_path / "out", weights=wrong),
        lambda: mctc.open(wrong),
        lambda: mctc.lint(wrong),
        lambda: mctc.lint(folder / "smooth.mlpackage", config=wrong),
        lambda: mctc.open(folder).transcribe(wrong),
    ):
        with pytest.raises(mctc.MctcError):
            call()


@pytest.mark.parametrize("name", ["spec.mct", "notes.txt", "weights.safetensors"])
def test_a_file_that_is_no_package_is_not_opened(spec: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(spec.read_bytes())
    with pytest.raises(mctc.MctcError, match="no build and no package"):
        mctc.open(tmp_path / name)


@pytest.mark.parametrize("system", ["ios3", "iOS 10", "macos10.12", "ios19", "macOS 20", "ios99"])
def test_systems_that_never_read_a_model_are_refused(folder: Path, system: str) -> None:
    with pytest.raises(mctc.MctcError, match=system):
        mctc.lint(folder / "smooth.mlpackage", os=system)
