"""Arrays that a spec rules out are refused, whatever the target; what it allows goes through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.cli.main import run
from mctc.driver import BuildOptions, build
from mctc.ir.domain import Interval
from mctc.runtime.arrays import run_arrays
from mctc.runtime.built import open_built
from mctc.runtime.fed import FedError, heard
from mctc.runtime.speech import transcribe

SPEC = """
model told(width = 4) {
    dim B: batch
    dim T: time @ 100 Hz
    component c(
        x: f32[B, T, width] in [-1, 1],
        keep: f32[B, T, 1] in {0, 1},
        level: f32[B, T, 1] > 0,
        word: i32[B, T] < 5,
    ) -> f32[B, T, width] {
        return x * keep * level + embedding(word, 5, width)
    }
    stream { chunk = 2 frames }
}
"""
DTYPES = {"fp16": np.float32, "fp32": np.float32, "int32": np.int32}


@pytest.fixture(scope="module", params=["ane", "onnx"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    if request.param == "onnx":
        pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("told")
    (folder / "told.mct").write_text(SPEC)
    build(folder / "told.mct", folder / "build", BuildOptions(target=request.param))
    return request.param, folder / "build"


def ports(folder: Path) -> list[dict[str, Any]]:
    """The inputs of the step, as the manifest has them now or before."""
    (manifest,) = [path for path in folder.iterdir() if path.name in ("manifest.json", "elsewhere.json")]
    return list(json.loads(manifest.read_text())["functions"]["c"]["inputs"])


def fed(told: tuple[str, Path], tmp_path: Path, **entries: float) -> dict[str, np.ndarray]:
    """One call with good entries, but those given as the last of an input."""
    folder = told[1]
    arrays = {port["name"]: np.ones(port["shape"], DTYPES[port["dtype"]]) for port in ports(folder)}
    for name, entry in entries.items():
        arrays[name].flat[-1] = entry
    np.savez(tmp_path / "in.npz", **arrays)
    (artifact,) = [path for path in folder.iterdir() if path.name.endswith((".mlpackage", "_c.onnx"))]
    return run_arrays(artifact, [str(tmp_path / "in.npz")])[0]


def test_what_the_spec_allows_goes_through(told: tuple[str, Path], tmp_path: Path) -> None:
    assert np.isfinite(fed(told, tmp_path, x=-1, keep=0, level=1e-3, word=4)["output"]).all()


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        ("x", 1.5, r"is 1.5, and the spec says: in \[-1, 1\]"),
        ("x", np.nan, r"is nan, and the spec says: in \[-1, 1\]"),
        ("keep", 0.5, r"is 0.5, and the spec says: in {0, 1}"),
        ("level", 0.0, "is 0, and the spec says: > 0"),
        ("word", 5, r"is 5, and the spec says: >= 0 and < 5"),
    ],
)
def test_an_entry_that_the_spec_rules_out_is_named(
    name: str, entry: float, words: str, told: tuple[str, Path], tmp_path: Path
) -> None:
    (last,) = [[n - 1 for n in port["shape"]] for port in ports(told[1]) if port["name"] == name]
    with pytest.raises(FedError, match=rf"input {name}: entry \[{', '.join(map(str, last))}\] {words}"):
        fed(told, tmp_path, **{name: entry})


def test_a_manifest_tells_the_domains_of_its_inputs(told: tuple[str, Path]) -> None:
    manifest = json.loads((told[1] / "manifest.json").read_text())
    whole = [entry["inputs"] for entry in manifest["whole"].values()]
    for inputs in (manifest["functions"]["c"]["inputs"], *whole):
        assert {port["spec_name"]: port.get("domain") for port in inputs} == {
            "x": {"at_least": -1, "at_most": 1}, "keep": {"one_of": [0, 1]}, "level": {"above": 0}, "word": None,
        }  # fmt: skip


def test_a_stranger_s_artifact_takes_any_array(told: tuple[str, Path], tmp_path: Path) -> None:
    (told[1] / "manifest.json").rename(told[1] / "elsewhere.json")
    try:
        assert fed(told, tmp_path, x=1.5)
    finally:
        (told[1] / "elsewhere.json").rename(told[1] / "manifest.json")


def test_a_recording_is_held_to_what_the_spec_says_of_its_frames(speech: Path, tmp_path: Path) -> None:
    spec = """
model loud(characters = 4) {
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = characters
    component encoder(mel: f32[B, T, 80] in [-1000, END]) -> f32[B, T, V] { return linear(mel, V) as head }
    train { objective = ctc(blank = 0) }
    stream { chunk = 16 frames }
}
"""
    for end in (1000, -100):
        (tmp_path / "loud.mct").write_text(spec.replace("END", str(end)))
        build(tmp_path / "loud.mct", tmp_path / f"build{end}", BuildOptions())
    assert transcribe(open_built(tmp_path / "build1000"), speech).audio_s > 2
    with pytest.raises(FedError, match=r"input mel: entry \[0, 0\] is .*, and the spec says: in \[-1000, -100\]"):
        transcribe(open_built(tmp_path / "build-100"), speech)


SAMPLES = Interval(-1, 1)


def test_samples_that_a_codec_or_another_rate_brought_beyond_full_scale_are_at_full_scale() -> None:
    frames = np.array([[0.5, 1.14], [-1.2, -1.0], [0.0, 9.0]], np.float32)
    taken = heard("samples", frames, 2, SAMPLES)
    np.testing.assert_array_equal(taken[:2], np.array([[0.5, 1], [-1, -1]], np.float32))
    assert taken.dtype == np.float32
    assert frames[0, 1] == np.float32(1.14)
    with pytest.raises(
        FedError, match=r"input samples: entry \[2, 1\] is 9, and the spec says: in \[-1, 1\]"
    ) as raised:
        heard("samples", frames, 3, SAMPLES)
    assert "make it quieter" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("name", "domain"), [("mel", SAMPLES), ("samples", Interval(-0.5, 0.5)), ("samples", Interval(2, 3))]
)
def test_what_is_no_overshoot_of_samples_stays_refused(name: str, domain: Interval) -> None:
    with pytest.raises(FedError, match=rf"input {name}: entry \[0, 0\]"):
        heard(name, np.array([[1.2, 0.7]], np.float32), 1, domain)


def test_what_a_spec_allows_stays_as_it_is() -> None:
    frames = np.array([[1.2, -1.9]], np.float32)
    for domain in (None, Interval(-2, 2)):
        np.testing.assert_array_equal(heard("samples", frames, 1, domain), frames)


def test_a_loud_recording_at_another_rate_runs_through_a_model_of_samples(tmp_path: Path, root: Path) -> None:
    import soundfile

    folder = build(root / "spec/denoiser.mct", tmp_path / "denoiser").folder
    square = np.sign(np.sin(2 * np.pi * 220 * np.arange(22_050) / 44_100)) * 0.999
    soundfile.write(tmp_path / "loud.wav", square, 44_100)
    assert run(["run", str(folder), str(tmp_path / "loud.wav"), "--output", str(tmp_path / "clean.wav")]) == 0
    assert soundfile.info(str(tmp_path / "clean.wav")).frames == 8000
