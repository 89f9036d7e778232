"""Activations in 8 bits from speech to package: calibrated, compressed, built, proven; and smoothed beforehand."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file, save_file

from mctc.cli.main import run
from mctc.driver import BuildOptions, build
from mctc.driver.compile import program_at
from mctc.driver.load import load_program
from mctc.evaluate.reference import evaluate
from mctc.initializers import initialise
from mctc.ir.text import parse_program
from mctc.weights import Weights, WeightsError

SPEC = """model heard(width = 64) {
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = 4
    component encoder(mel: f32[B, T, 80]) -> f32[B, T, V] {
        x = relu(conv1d(mel, width, 3) as conv)
        repeat 2 { x = x + linear(silu(linear(layer_norm(x) as norm, width) as up), width) as down }
        return linear(layer_norm(x) as last, V) as head
    }
    tokens { letters = "ab " }
    train { objective = ctc(blank = 0) }
    stream { chunk = 80 ms }
    quantize { encoder.layers.*.{up, down}: int8(per_channel, activations = 8); **: int8(per_channel) }
}
"""
SCALES = {f"encoder.layers.{at}.{name}_input.scale" for at in (0, 1) for name in ("up", "down")}


@dataclass(frozen=True)
class Place:
    folder: Path

    def mctc(self, *given: str) -> int:
        return run([str(self.folder / each[1:]) if each.startswith("@") else each for each in given])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A build for torch, random weights without scales, two recordings of noise, and what they were measured to be."""
    folder = tmp_path_factory.mktemp("activations")
    (folder / "heard.mct").write_text(SPEC)
    build(folder / "heard.mct", folder / "built", BuildOptions(target="torch"))
    program = load_program(folder / "heard.mct", None, {})
    tensors = {name: initialise(name, type_, rule, 3) for name, (type_, rule) in program.sources.items()}
    tensors["encoder.layers.0.norm.weight"] = np.geomspace(0.05, 40, 64)
    tensors["encoder.layers.0.norm.bias"] = np.linspace(-0.3, 0.5, 64)
    save_file({name: np.asarray(each, np.float32) for name, each in tensors.items()}, folder / "w.safetensors")
    lines = []
    for at, text in enumerate(["ab a", "b"]):
        samples = np.random.default_rng(at).normal(0, 0.1, 3000 + 500 * at)
        soundfile.write(folder / f"{at}.wav", samples, 16_000)
        lines.append(json.dumps({"audio_filepath": f"{at}.wav", "text": text, "duration": len(samples) / 16_000}))
    (folder / "data.jsonl").write_text("\n".join(lines) + "\n")
    found = Place(folder)
    assert not found.mctc("calibrate", "@built", "@data.jsonl", "--weights", "@w.safetensors", "-o", "@s", "-q")
    return found


def compressed(place: Place, out: str, *more: str) -> dict[str, np.ndarray]:
    given = ("compress", "@heard.mct", "--stats", "@s", "--weights", "@w.safetensors", "-o", f"@{out}", *more)
    assert not place.mctc(*given)
    return load_file(place.folder / out)


def test_a_checkpoint_without_scales_is_refused_with_what_makes_them(place: Place) -> None:
    program = parse_program((place.folder / "built/whole.mir").read_text())
    with pytest.raises(WeightsError, match="lacks scales of activations") as raised:
        Weights.load(program, place.folder / "w.safetensors")
    assert "mctc calibrate" in str(raised.value.hint)
    assert "mctc compress" in str(raised.value.hint)


def test_a_scale_that_is_none_is_refused(place: Place) -> None:
    program = parse_program((place.folder / "built/whole.mir").read_text())
    tensors = load_file(place.folder / "w.safetensors") | {name: np.array(0.1, np.float32) for name in SCALES}
    for wrong in (0.0, -1.0, 1e-12, np.inf, np.nan):
        tensors[min(SCALES)] = np.array(wrong, np.float32)
        save_file(tensors, place.folder / "wrong.safetensors")
        with pytest.raises(WeightsError, match="a scale of activations is from 6e-08 to 65504") as raised:
            Weights.load(program, place.folder / "wrong.safetensors")
        assert "mctc compress" in str(raised.value.hint)
    tensors[min(SCALES)] = np.full(2, 0.1, np.float32)
    save_file(tensors, place.folder / "wrong.safetensors")
    with pytest.raises(WeightsError, match=r"is \[2\]; a scale of activations is one number"):
        Weights.load(program, place.folder / "wrong.safetensors")


def test_calibrated_and_compressed_it_builds_and_is_proven(place: Place) -> None:
    tensors = compressed(place, "rounded.safetensors")
    assert tensors.keys() >= SCALES
    assert all(tensors[name] == np.float16(tensors[name]) > 0 for name in SCALES)
    given = ("@heard.mct", "--weights", "@rounded.safetensors")
    assert not place.mctc("build", *given, "-o", "@package", "--target", "ane", "-q")
    assert not place.mctc("verify", "@package", "--weights", "@rounded.safetensors", "-q")
    package = json.loads((place.folder / "package/manifest.json").read_text())
    assert package["weights"]


def test_a_spec_without_activations_takes_the_same_checkpoint(place: Place) -> None:
    compressed(place, "again.safetensors")
    program = program_at(replace(load_program(place.folder / "heard.mct", None, {}), quantize=()), after="dead-code")
    assert Weights.load(program, place.folder / "again.safetensors").sources.keys().isdisjoint(SCALES)


def test_smoothing_leaves_the_function_to_the_bit_and_evens_out_what_is_held(place: Place) -> None:
    program = load_program(place.folder / "heard.mct", None, {})
    plain = load_file(place.folder / "w.safetensors")
    evened = compressed(place, "smooth.safetensors", "--smooth", "0.5")
    factors = plain["encoder.layers.0.norm.weight"] / evened["encoder.layers.0.norm.weight"]
    assert factors.max() / factors.min() >= 8
    assert np.array_equal(factors, np.exp2(np.rint(np.log2(factors))))
    moved = dict(plain)
    for at in (0, 1):
        norm = f"encoder.layers.{at}.norm"
        ratio = plain[f"{norm}.weight"] / evened[f"{norm}.weight"]
        moved |= {name: evened[name] for name in (f"{norm}.weight", f"{norm}.bias")}
        moved[f"encoder.layers.{at}.up.weight"] = plain[f"encoder.layers.{at}.up.weight"] * ratio
    save_file(moved, place.folder / "moved.safetensors")
    function, mel = program.functions["encoder"], np.random.default_rng(2).normal(size=(1, 8, 80))
    results = []
    for file in ("w", "moved"):
        weights = Weights.load(program, place.folder / f"{file}.safetensors")
        found, _ = evaluate(function, {"mel": mel}, lambda name, w=weights: w.exact(program.parameters[name]))
        results.append(next(iter(found.values())))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-13)
