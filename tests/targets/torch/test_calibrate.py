"""mctc calibrate and mctc compress through the emitted module: statistics in shards and in pieces, true losses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from safetensors.numpy import save_file

from mctc.cli.main import run
from mctc.coded import opened
from mctc.compare.storage import stored_bytes
from mctc.compress.opened import learner_of, open_built, speech_of
from mctc.compress.statistics import read_statistics
from mctc.driver import BuildOptions, build
from mctc.initializers import initialise
from mctc.ir.text import parse_program
from mctc.weights import Weights

SPEC = """model heard(width = 48) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = 4
    component encoder(mel: f32[B, T, 80]) -> f32[B, T, width] {
        x = relu(conv1d(mel, width, 3) as conv)
        return lstm(x, width)
    }
    component predictor(token: i32[B, U] < V) -> f32[B, U, width] { return embedding(token, V, width) }
    component joiner(enc: f32[B, T, width], pred: f32[B, U, width]) -> f32[B, T, U, V] {
        return linear(tanh(linear(enc, width) as enc_proj + linear(pred, width) as pred_proj), V) as out
    }
    tokens { letters = "ab " }
    train { objective = rnnt(blank = 0); auxiliary = ctc(of = encoder, weight = 0.5) }
    stream { chunk = 80 ms }
}
"""


@dataclass(frozen=True)
class Place:
    folder: Path
    weights: Path
    data: Path

    def calibrate(self, out: str, *more: str) -> int:
        given = [str(self.folder / "built"), str(self.data), "--weights", str(self.weights)]
        return run(["calibrate", *given, "-o", str(self.folder / out), "-q", *more])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A build with random weights, without those of its auxiliary head, and three recordings of noise."""
    folder = tmp_path_factory.mktemp("calibrate")
    (folder / "heard.mct").write_text(SPEC)
    build(folder / "heard.mct", folder / "built", BuildOptions(target="torch"))
    program = parse_program((folder / "built/whole.mir").read_text())
    tensors = {name: initialise(name, type_, rule, 3) for name, (type_, rule) in program.sources.items()}
    save_file({name: np.asarray(each, np.float32) for name, each in tensors.items()}, folder / "w.safetensors")
    lines = []
    for at, text in enumerate(["ab a", "b", "ba ba"]):
        samples = np.random.default_rng(at).normal(0, 0.1, 3000 + 500 * at)
        soundfile.write(folder / f"{at}.wav", samples, 16_000)
        lines.append(json.dumps({"audio_filepath": f"{at}.wav", "text": text, "duration": len(samples) / 16_000}))
    (folder / "data.jsonl").write_text("\n".join(lines) + "\n")
    return Place(folder, folder / "w.safetensors", folder / "data.jsonl")


@pytest.fixture(scope="module")
def whole(place: Place) -> Path:
    assert place.calibrate("whole.safetensors") == 0
    return place.folder / "whole.safetensors"


def test_moments_are_those_of_the_inputs_and_gradients_those_of_the_loss(place: Place, whole: Path) -> None:
    found = read_statistics(whole)
    assert found.done == {0, 1, 2}
    built = open_built(place.folder / "built")
    learner, speech = learner_of(built, place.weights), speech_of(built, [place.data], None)
    rows: dict[str, list[Any]] = {}
    heard: list[tuple[float, dict[str, Any]]] = []
    for at in range(3):
        found_of: dict[str, Any] = {}
        loss = learner.gradients(
            *speech.heard(at), lambda name, gradient, found_of=found_of: found_of.update({name: gradient.copy()}),
            lambda name, seen: rows.setdefault(name, []).append(seen),
        )  # fmt: skip
        heard.append((loss, found_of))
    assert found.loss == pytest.approx(np.mean([loss for loss, _ in heard]), rel=1e-6)
    assert {
        "encoder.conv.weight",
        "encoder.lstm.weight_ih",
        "encoder.lstm.weight_hh",
        "joiner.out.weight",
    } <= rows.keys()
    for name, seen in rows.items():
        x = np.concatenate(seen).astype(np.float64)
        assert found.positions[name] == len(x)
        np.testing.assert_allclose(found.moment(name), x.T @ x / len(x), rtol=1e-4, atol=1e-5 * np.abs(x).max() ** 2)
        np.testing.assert_allclose(found.mean(name), x.mean(0), rtol=1e-3, atol=1e-5 * np.abs(x).max())
        assert found.ranges[name] == pytest.approx((x.min(), x.max()), rel=1e-6)
    for name, first in heard[0][1].items():
        fisher = found.fisher(name)
        squares = np.mean([gradients[name].astype(np.float64) ** 2 for _, gradients in heard], axis=0)
        np.testing.assert_allclose(fisher, squares, rtol=1e-3, atol=1e-6 * squares.max() + 1e-30)
        assert first.shape == squares.shape


def test_a_gradient_is_the_change_of_the_loss(place: Place) -> None:
    built = open_built(place.folder / "built")
    learner, speech = learner_of(built, place.weights), speech_of(built, [place.data], None)
    heard = speech.heard(0)
    gradients: dict[str, Any] = {}
    learner.gradients(*heard, lambda name, gradient: gradients.update({name: gradient.copy()}))
    name = "joiner.enc_proj.weight"
    shape = learner.shapes()[name]
    direction = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    start = read_start(place, name).reshape(shape)
    losses = []
    for step in (1e-2, -1e-2):
        learner.put({name: start + step * direction})
        losses.append(learner.loss(*heard))
    assert (losses[0] - losses[1]) / 2e-2 == pytest.approx(float((gradients[name] * direction).sum()), rel=0.02)


def read_start(place: Place, name: str) -> np.ndarray:
    from mctc.checkpoint import SafeTensors

    return SafeTensors(place.weights).read(name)


def test_shards_merge_to_the_file_of_the_whole_run(place: Place, whole: Path) -> None:
    assert place.calibrate("one.safetensors", "--shard", "1/2") == 0
    assert place.calibrate("two.safetensors", "--shard", "2/2") == 0
    shards = [str(place.folder / f"{name}.safetensors") for name in ("two", "one")]
    out = place.folder / "merged.safetensors"
    assert run(["calibrate", "--merge", *shards, "-o", str(out), "-q"]) == 0
    assert out.read_bytes() == whole.read_bytes()


def test_a_run_that_was_stopped_goes_on(place: Place, whole: Path) -> None:
    begun = read_statistics(whole)
    assert place.calibrate("part.safetensors", "--shard", "1/3") == 0
    assert read_statistics(place.folder / "part.safetensors").done == {0}
    assert place.calibrate("part.safetensors", "--resume") == 0
    assert (place.folder / "part.safetensors").read_bytes() == whole.read_bytes()
    assert begun.done == {0, 1, 2}


def test_what_does_not_go_together_is_refused(place: Place, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calibrate", "--merge", str(whole), str(whole), "-o", str(place.folder / "x.safetensors")]) == 1
    assert "3 of the utterances are in both files" in capsys.readouterr().err
    assert place.calibrate("whole.safetensors", "--limit", "2", "--resume") == 2
    assert "is of another model, checkpoint or data" in capsys.readouterr().err
    assert run(["calibrate", "--merge", str(place.weights), "-o", str(place.folder / "x.safetensors")]) == 1
    assert "holds no statistics" in capsys.readouterr().err
    missing = place.folder / "missing"
    assert run(["calibrate", "--merge", str(whole), str(missing), "-o", str(place.folder / "x.safetensors")]) == 1
    assert f"error: cannot read {missing}" in capsys.readouterr().err
    assert not (place.folder / "x.safetensors").exists()


def test_a_build_without_a_loss_is_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    build(place.folder / "heard.mct", place.folder / "ane")
    given = [str(place.folder / "ane"), str(place.data), "--weights", str(place.weights)]
    assert run(["calibrate", *given, "-o", str(place.folder / "x.safetensors")]) == 1
    assert "a build for ane has no loss" in capsys.readouterr().err


@pytest.fixture(scope="module")
def bare(place: Place) -> Path:
    """A build of the same layers with neither a loss nor tokens."""
    lines = [line for line in SPEC.splitlines() if not line.strip().startswith(("tokens", "train"))]
    (place.folder / "bare.mct").write_text("\n".join(lines) + "\n")
    build(place.folder / "bare.mct", place.folder / "bare", BuildOptions(target="torch"))
    return place.folder / "bare"


def test_a_loss_that_is_missing_is_told_before_the_tokens_that_it_would_take(
    place: Place, whole: Path, bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, weights = [str(place.data)], ["--weights", str(place.weights)]
    assert run(["calibrate", str(bare), *data, *weights, "-o", str(place.folder / "x.safetensors")]) == 1
    assert f"{bare / 'training/heard.py'} has no loss" in capsys.readouterr().err
    searched = ["--build", str(bare), "--data", *data, "--stats", str(whole), *weights, "--size", "10kB"]
    assert run(["compress", str(place.folder / "heard.mct"), *searched]) == 1
    assert f"{bare / 'training/heard.py'} has no loss" in capsys.readouterr().err
    assert not (place.folder / "x.safetensors").exists()


@dataclass(frozen=True)
class Compressing:
    place: Place
    stats: Path

    def __call__(self, *more: str) -> int:
        given = [str(self.place.folder / "heard.mct"), "--stats", str(self.stats), "--weights", str(self.place.weights)]
        return run(["compress", *given, "--forms", "int8,int4,palette3,palette2", *more])

    @property
    def trials(self) -> list[str]:
        return ["--build", str(self.place.folder / "built"), "--data", str(self.place.data)]


@pytest.fixture
def compress(place: Place, whole: Path) -> Compressing:
    return Compressing(place, whole)


def test_a_budget_becomes_a_section_and_the_weights_that_it_stores(
    compress: Compressing, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, rounded = compress.place.folder / "heard.mct", compress.place.folder / "rounded.safetensors"
    before = spec.read_text()
    plot = compress.place.folder / "f.svg"
    budget = ["--size", "22kB"]
    assert compress(*budget, "--diff", "--plot", str(plot)) == 1
    told = capsys.readouterr().out
    assert "+    quantize {" in told
    assert spec.read_text() == before
    assert plot.read_text().startswith("<svg")
    try:
        assert compress(*budget, "--write", "-o", str(rounded), "-q") == 0
        assert "    quantize {" in spec.read_text()
        assert compress("-o", str(rounded.with_name("again.safetensors")), "-q") == 0
        assert rounded.with_name("again.safetensors").read_bytes() == rounded.read_bytes()
        result = build(spec, compress.place.folder / "small", BuildOptions(weights=rounded))
        assert 18_000 < sum(map(stored_bytes, result.compiled.whole.parameters.values())) <= 22_000
        stored = Weights.load(result.compiled.whole, rounded)
        values = opened(rounded)
        assert any(p.quantization is not None for p in result.compiled.whole.parameters.values())
        for name, parameter in result.compiled.whole.parameters.items():
            if parameter.quantization is not None:
                assert np.array_equal(stored.deployed(parameter), values.read(name).astype(np.float16))
    finally:
        spec.write_text(before)


def test_trials_correct_what_is_predicted(compress: Compressing, capsys: pytest.CaptureFixture[str]) -> None:
    assert compress("--loss", "0.5", "--rank", "2", *compress.trials) == 0
    told = capsys.readouterr().out
    assert "rank correlation" in told
    (chosen,) = [line.split() for line in told.splitlines() if "chosen: " in line]
    assert float(chosen[2]) <= 0.5


def test_weights_of_few_bits_are_tuned_toward_what_they_were(
    compress: Compressing, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, outs = compress.place.folder / "heard.mct", [compress.place.folder / f"tuned{n}" for n in range(3)]
    before = spec.read_text()
    stored = "    quantize { **: palette(bits = 2, group = 16) }\n}"
    spec.write_text(before.rstrip().removesuffix("}") + stored + "\n")
    try:
        assert compress("-o", str(outs[0]), "-q") == 0
        for out in outs[1:]:
            assert compress("-o", str(out), "--tune", "8", *compress.trials) == 0
    finally:
        spec.write_text(before)
    line = next(each for each in capsys.readouterr().out.splitlines() if each.startswith("tuned "))
    assert "in 8 steps over 2 utterances; over 1 other the loss a label was" in line
    assert outs[1].read_bytes() == outs[2].read_bytes()
    assert (outs[0].read_bytes() == outs[1].read_bytes()) == ("stay as they were" in line)


def test_a_module_that_is_as_another_has_nowhere_to_go(place: Place) -> None:
    built = open_built(place.folder / "built")
    teacher, student = learner_of(built, place.weights), learner_of(built, place.weights)
    heard = speech_of(built, [place.data], None).heard(0)
    wanted, name = teacher.given(*heard), "joiner.enc_proj.weight"
    largest: list[float] = []
    for scale in (1.0, 1.1):
        student.put({name: scale * opened(place.weights).read(name)})
        found: dict[str, float] = {}
        student.gradients(*heard, lambda at, g, found=found: found.update({at: float(np.abs(g).max())}), toward=wanted)
        largest.append(found[name])
    assert largest[0] < 1e-6
    assert largest[1] > 5e-5
    assert student.apart(*heard, wanted)[1] < 1e-9  # no hidden result has to do with it


def test_speech_that_tuning_cannot_take_is_told_before_the_rounding(
    compress: Compressing, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mctc.compress.session.Model.rounded_all", lambda *_: pytest.fail("rounded"))
    one = compress.place.folder / "one.jsonl"
    one.write_text(compress.place.data.read_text().splitlines()[0] + "\n")
    given = [
        "-o",
        str(compress.place.folder / "unwritten"),
        "--tune",
        "8",
        "--build",
        str(compress.place.folder / "built"),
    ]
    assert compress(*given, "--data", str(one)) == 1
    assert "tuning takes two utterances" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--tune", "5"], "--tune takes a build and speech"),
        (["--size", "1kB"], "bytes at least"),
        (["--size", "much"], "'much' is no size"),
        (["--size", "1MB", "--loss", "0.1"], "are two budgets"),
        (["--size", "1MB", "--rank", "3"], "--rank needs true losses"),
        (["--diff"], "--diff is of a search"),
        (["--plot", "f.svg"], "--plot is of a search"),
        (["--size", "", "--diff"], "'' is no size"),
        (["--size", "-1MB"], "'-1MB' is no size"),
        (["--loss", "nan"], "--loss nan is no limit"),
        (["--size", "1MB", "--forms", "int3"], "'int3' is no form"),
        (["--smooth", "0.5"], "--smooth finds no norm in "),
    ],
)
def test_budgets_and_forms_that_cannot_be(
    compress: Compressing, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compress(*options) in (1, 2)
    assert told in capsys.readouterr().err


def test_a_section_in_another_file_is_refused_before_the_search(
    compress: Compressing, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = compress.place.folder
    (folder / "variant.mct").write_text('import "heard.mct"\n\nmodel variant = heard()\n')
    given = ["--stats", str(compress.stats), "--weights", str(compress.place.weights), "--loss", "0.5"]
    out = folder / "unwritten.safetensors"
    assert run(["compress", str(folder / "variant.mct"), *given, "--write", "-o", str(out)]) == 1
    told = capsys.readouterr()
    assert "the sections of variant are those of a model in" in told.err
    assert not told.out
    assert not out.exists()


@pytest.mark.parametrize("option", ["-o", "--plot"])
def test_a_folder_in_the_way_is_told_before_the_search(
    compress: Compressing, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compress("--loss", "0.5", option, str(tmp_path)) == 1
    told = capsys.readouterr()
    assert f"{tmp_path}: is a directory" in told.err
    assert not told.out


def test_a_size_that_is_none_is_of_the_command_line(compress: Compressing) -> None:
    assert compress("--size", "much") == 2


def test_statistics_of_other_weights_are_refused(compress: Compressing, capsys: pytest.CaptureFixture[str]) -> None:
    other = compress.place.folder / "other.safetensors"
    tensors = opened(compress.place.weights)
    save_file({name: tensors.read(name) * 2 for name in tensors.shapes}, other)
    given = [str(compress.place.folder / "heard.mct"), "--stats", str(compress.stats), "--weights", str(other)]
    assert run(["compress", *given, "--size", "1MB"]) == 1
    assert "was measured with other weights" in capsys.readouterr().err


def test_a_checkpoint_is_sorted_for_what_a_spec_prunes(
    place: Place, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, out = place.folder / "pruned.mct", place.folder / "sorted.safetensors"
    spec.write_text(SPEC.replace("    stream {", "    prune { encoder.conv.channels: 0.5 }\n    stream {"))
    given = [str(spec), "--stats", str(whole), "--weights", str(place.weights), "-o", str(out)]
    assert run(["prune", *given]) == 0
    (row,) = [line.split() for line in capsys.readouterr().out.splitlines() if "encoder.conv.channels" in line]
    assert float(row[2]) < float(row[3])
    built = open_built(place.folder / "built")
    speech = speech_of(built, [place.data], None)
    losses = [learner_of(built, weights).loss(*speech.heard(0)) for weights in (place.weights, out)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert not np.array_equal(
        opened(out).read("encoder.conv.weight"), opened(place.weights).read("encoder.conv.weight")
    )
    assert run(["prune", str(place.folder / "heard.mct"), *given[1:]]) == 1
    assert "heard prunes nothing" in capsys.readouterr().err
    spec.write_text(SPEC.replace("    stream {", "    prune { encoder.cone.channels: 0.5 }\n    stream {"))
    assert run(["prune", *given]) == 1
    assert "`encoder.cone.channels` names no dimension" in capsys.readouterr().err
    assert run(["prune", *given, "-D", "width=32"]) == 1
    told = capsys.readouterr().err
    assert "does not fit heard" in told
    assert "hint: the checkpoint is that of the spec before it is pruned" in told
