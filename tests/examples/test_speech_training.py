"""examples/speech trains an emitted model: exports what it learnt, prunes, distils and aligns."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file

from mctc.coded import write_coded
from mctc.compress.sorting import kept_tensors
from mctc.driver import BuildOptions, build
from mctc.driver.manifest import WHOLE
from mctc.driver.reading import read_program
from mctc.ir.text import parse_program
from mctc.language import elaborate_file
from mctc.rewrite.axis_groups import Groups
from mctc.rewrite.removed_groups import removed
from mctc.score.manifests.nemo import read_nemo
from mctc.targets.torch.learner import bound_values
from mctc.weights import Weights
from speech.align import main as align
from speech.checkpoints import found
from speech.config import ConfigError, Model, Prune
from speech.emitted import Emitted
from speech.export import averaged
from speech.prune import Pruning
from speech.train import main
from tests.conftest import ROOT
from tests.examples.conftest import DEFINES, curve


def test_a_run_logs_scores_and_keeps_the_last_checkpoints(place: Path) -> None:
    lines = curve(place / "whole")
    assert [line["step"] for line in lines] == [1, 2, 2, 3, 4, 4]
    assert [path.name for path in found(place / "whole")] == [f"step-{step:08}.pt" for step in (2, 3, 4)]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0]
    assert all(line["dev_wer"] > 0 for line in lines if "dev_wer" in line)


@pytest.mark.quick("quantize.engine_from_step=1")
@pytest.mark.parametrize(
    "option",
    ["model.consistency=0.06", "model.checkpointing=true", "train.precision=bfloat16", "quantize.engine_from_step=1"],
)
def test_options_of_training_give_finite_losses_of_their_own(place: Path, option: str) -> None:
    run = place / option
    assert main([str(place / "conf.toml"), f"train.run={run}", option, "data.dev=[]"]) == 0
    losses, usual = ([line["loss"] for line in curve(each) if "loss" in line] for each in (run, place / "whole"))
    assert losses == pytest.approx(usual, rel=0.2)
    assert (losses == usual) is (option == "model.checkpointing=true")


@pytest.mark.slow
def test_the_engines_arithmetic_goes_with_checkpointing_and_bf16(place: Path) -> None:
    arguments = [str(place / "conf.toml"), "quantize.engine_from_step=1", "data.dev=[]"]
    curves = {}
    for option in ("model.checkpointing=false", "model.checkpointing=true", "train.precision=bfloat16"):
        run = place / f"engine-{option}"
        assert main([*arguments, f"train.run={run}", option]) == 0
        curves[option] = [line["loss"] for line in curve(run) if "loss" in line]
    plain, again, coarse = curves.values()
    assert again == plain
    assert coarse == pytest.approx(plain, rel=0.05)


def test_components_that_the_model_has_not_are_refused_at_the_start(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ['quantize.engine_components=["front"]', f"train.run={place / 'never'}"]
    assert main([str(place / "conf.toml"), *told, "quantize.engine_from_step=1"]) == 1
    assert "engine_components: there is no front; there are encoder, predictor" in capsys.readouterr().err


@pytest.mark.parametrize(
    "mistake",
    ["model.training=nowhere", "data.tokens=nowhere.txt", 'data.train=["nowhere.jsonl"]', "batch.accumulate=0"],
)
def test_a_run_that_fails_leaves_no_folder_and_goes_through_once_it_is_mended(
    place: Path, tmp_path: Path, mistake: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "of" / "runs" / "one"
    usual = [str(place / "conf.toml"), f"train.run={run}", "data.dev=[]", "train.steps=1", "quantize.from_step=0"]
    assert main([*usual, mistake]) == 1
    assert "error: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main(usual) == 0
    assert [path.name for path in found(run)] == ["step-00000001.pt"]


def test_a_loss_that_is_no_number_leaves_no_folder(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("speech.train.Trainer._advance", lambda self, step, cuts: torch.full((4,), float("nan")))
    assert main([str(place / "conf.toml"), f"train.run={tmp_path / 'run'}", "data.dev=[]"]) == 1
    assert "the loss is nan in the steps before 1; nothing was saved of them" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_run_in_the_place_of_a_file_is_refused_before_it_begins(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert main([str(place / "conf.toml"), f"train.run={tmp_path / 'file' / 'run'}"]) == 1
    told = capsys.readouterr()
    assert "Not a directory" in told.err
    assert "utterances" not in told.out
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.slow
def test_sound_in_a_file_gives_the_same_losses(place: Path) -> None:
    assert main([str(place / "conf.toml"), f"train.run={place / 'file'}", "data.store=file"]) == 0
    assert curve(place / "file") == curve(place / "whole")


@pytest.mark.parametrize("average", ["ema", "1", "3"])
def test_an_export_is_what_a_build_binds(place: Path, average: str) -> None:
    weights = averaged(place / "whole", average)
    path = place / f"{average}.safetensors"
    save_file(weights, path)
    built = build(
        ROOT / "spec/mct_tiny.mct", place / average, BuildOptions(defines=DEFINES, target="torch", weights=path)
    )
    assert built


def test_a_run_begins_with_a_checkpoint_of_numbers_or_codes(place: Path) -> None:
    weights = averaged(place / "whole", "1")
    numbers, codes = place / "numbers.safetensors", place / "codes.safetensors"
    save_file(weights, numbers)
    options = BuildOptions(defines=DEFINES, target="torch", weights=numbers)
    built = build(ROOT / "spec/mct_tiny.mct", place / "begun", options).folder
    write_coded(parse_program((built / "program.mir").read_text()), numbers, codes, {})
    training = str(place / "learner/training")
    one, other = (Emitted(Model(training, str(path))).model().state_dict() for path in (numbers, codes))
    assert all(torch.equal(one[name], weights[name]) for name in weights)
    largest = max(float((one[name] - other[name]).abs().max() / one[name].abs().max()) for name in one)
    assert 0 < largest < 0.1
    save_file({"encoder.norm.weight": torch.zeros(3)}, codes)
    told = r"model.start: .*codes.safetensors holds weights of another model: .* and \d+ names more"
    with pytest.raises(ConfigError, match=told) as caught:
        Emitted(Model(training, str(codes))).model()
    assert len(str(caught.value)) < 500
    with pytest.raises(ConfigError, match=r"^--start: "):
        Emitted(Model(training, str(codes)), ("--training", "--start")).model()


@pytest.mark.parametrize("average", ["0", "all", "-1", "99"])
def test_an_average_of_other_checkpoints_than_there_are_is_refused(place: Path, average: str) -> None:
    told = "99 are asked for" if average == "99" else f"from 1, not '{average}'"
    with pytest.raises(ValueError, match=told):
        averaged(place / "whole", average)
    with pytest.raises(ValueError, match="nowhere has no checkpoints"):
        averaged(place / "nowhere", "ema")


def aligned(place: Path, manifest: Path, out: Path) -> Result:
    weights = place / "aligning.safetensors"
    save_file(averaged(place / "whole", "1"), weights)
    given = ["--training", place / "learner/training", "--start", weights, "--tokens", place / "letters.txt"]
    return CliRunner().invoke(align, [str(each) for each in (manifest, *given, "-o", out)])


def test_an_aligned_manifest_may_lie_in_another_folder(place: Path) -> None:
    entry = {"audio_filepath": "all.wav", "duration": 1.5, "text": "good day", "voice": "a\u2028b"}
    short = {**entry, "id": "short", "duration": 0.01}
    lines = [json.dumps(each, ensure_ascii=False) for each in (entry, short)]
    (place / "some.jsonl").write_text("\n{}\n\n{}\n".format(*lines), encoding="utf-8")
    (place / "elsewhere").mkdir()
    out = place / "elsewhere/aligned.jsonl"
    assert aligned(place, place / "some.jsonl", out).exit_code == 0
    whole, cut = read_nemo(out)
    assert whole.audio.samefile(place / "all.wav")
    assert [each.text for each in whole.words] == ["good", "day"]
    assert all(0 <= each.end <= 1.5 for each in whole.words)
    assert all(0 <= each.end <= 0.01 for each in cut.words)
    assert aligned(place, place / "some.jsonl", place / "beside.jsonl").exit_code == 0
    assert json.loads((place / "beside.jsonl").read_text().splitlines()[0])["audio_filepath"] == "all.wav"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"audio_filepath": "gone.wav"}, "there is no such file"),
        ({"audio_filepath": "pipe.wav"}, "this is not a regular file"),
        ({"text": "\u00e9"}, "no token spells"),
    ],
)
def test_recordings_that_can_not_be_aligned_are_told_with_their_line(
    place: Path, changed: dict[str, str], told: str
) -> None:
    manifest, pipe = place / "wrong.jsonl", place / "pipe.wav"
    if not pipe.exists():
        os.mkfifo(pipe)
    manifest.write_text(json.dumps({"audio_filepath": "all.wav", "duration": 1.5, "text": "a", **changed}))
    result = aligned(place, manifest, place / "never.jsonl")
    assert (result.exit_code, result.output.count("Error: ")) == (1, 1)
    assert told in result.output
    assert f"{manifest}:1" in result.output
    assert "this is no manifest of NeMo's" in aligned(place, place, place / "never.jsonl").output
    assert not (place / "never.jsonl").exists()


def test_a_run_learns_from_a_teacher_under_its_own_masks(place: Path) -> None:
    teacher = place / "teacher.safetensors"
    save_file(averaged(place / "whole", "1"), teacher)
    told = [f"distill.teacher={place / 'learner/training'}", f"distill.weights={teacher}", "distill.ctc=0.3"]
    arguments = [str(place / "conf.toml"), *told, "model.consistency=0.06", "data.dev=[]"]
    assert main([*arguments, f"train.run={place / 'taught'}"]) == 0
    alone = [str(place / "conf.toml"), "model.consistency=0.06", "data.dev=[]", f"train.run={place / 'alone'}"]
    assert main(alone) == 0
    taught, untaught = ([line["loss"] for line in curve(place / name)] for name in ("taught", "alone"))
    assert taught[0] > untaught[0]
    assert taught[-1] < taught[0]


@pytest.fixture(scope="module")
def pruned(place: Path) -> Path:
    """A build of half of the states and of half of the inner channels."""
    shutil.copytree(ROOT / "spec/lib", place / "lib", dirs_exist_ok=True)
    section = "    prune { encoder.**.state: 0.5; **.inner: 0.5 }\n    quantize {"
    (place / "less.mct").write_text((ROOT / "spec/mct_small.mct").read_text().replace("    quantize {", section))
    return build(place / "less.mct", place / "less", BuildOptions(defines=DEFINES, target="torch")).folder


def test_what_is_pruned_gradually_is_the_pruned_model_at_the_end(place: Path, pruned: Path) -> None:
    told = [f"prune.build={pruned}", "prune.until_step=3", "prune.every=1", "optimizer.peak_rate=1e-2", "data.dev=[]"]
    assert main([str(place / "conf.toml"), *told, f"train.run={place / 'gradual'}"]) == 0
    weights = averaged(place / "gradual", "1")
    save_file(weights, place / "gradual.safetensors")
    states = weights["encoder.layers.0.mamba.A_log"]
    assert states[:, 8:].eq(0).all()
    assert states[: len(states) // 2, :8].ne(0).any()
    mel, given = torch.randn(1, 90, 80), (torch.tensor([90]), torch.tensor([[3, 5]]), torch.tensor([2]))
    program, module = read_program(pruned / WHOLE), Emitted(Model(str(pruned / "training"))).model()
    kept = dict(bound_values(program, Weights.load(program, place / "gradual.safetensors"), module))
    save_file(kept, place / "kept.safetensors")
    whole, small = (
        Emitted(Model(str(folder / "training"), str(place / name))).model().eval()
        for folder, name in ((place / "learner", "gradual.safetensors"), (pruned, "kept.safetensors"))
    )
    assert sum(each.numel() for each in small.parameters()) < sum(each.numel() for each in whole.parameters())
    with torch.no_grad():
        torch.testing.assert_close(small(mel, *given), whole(mel, *given))


def test_a_run_of_another_model_is_not_gone_on_with(
    place: Path, pruned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(place / "conf.toml"), f"model.training={pruned / 'training'}", "train.steps=8"]) == 1
    assert "is of another model than model.training; name another folder" in capsys.readouterr().err


def test_pruning_grows_with_the_steps_and_begins_with_the_whole_model(place: Path, pruned: Path) -> None:
    model = Emitted(Model(str(place / "learner/training"))).model()
    pruning, values = Pruning(Prune(str(pruned), 10, 110, every=5), model), dict(model.named_parameters())
    zeros = []
    for step in range(0, 130, 5):
        pruning.apply(step, [values])
        zeros.append(sum(int(each.eq(0).sum()) for each in values.values()))
    assert zeros == sorted(zeros)
    assert zeros[0] == zeros[2] < zeros[5] < zeros[10] < zeros[-4] == zeros[-1]
    with pytest.raises(ConfigError, match=r"model.training is the build without the prune section"):
        Pruning(Prune(str(pruned), 0, 9), Emitted(Model(str(pruned / "training"))).model())
    with pytest.raises(ConfigError, match="prunes nothing"):
        Pruning(Prune(str(place / "learner"), 0, 9), model)


@pytest.mark.slow
def test_a_run_goes_on_from_a_checkpoint_cut_of_a_width_that_components_share(place: Path) -> None:
    shutil.copytree(ROOT / "spec/lib", place / "lib", dirs_exist_ok=True)
    section = "    prune { encoder.subsample.proj.channels: 0.25; predictor.lstm.cells: 0.5 }\n    quantize {"
    (place / "narrow.mct").write_text((ROOT / "spec/mct_small.mct").read_text().replace("    quantize {", section))
    narrow = build(place / "narrow.mct", place / "narrow", BuildOptions(defines=DEFINES, target="torch")).folder
    program = elaborate_file(place / "narrow.mct", defines=DEFINES)
    groups, weights = Groups(program), averaged(place / "whole", "1")
    tensors = kept_tensors(program, groups, removed(program, groups), {k: v.numpy() for k, v in weights.items()})
    assert tensors["auxiliary_ctc.weight"].shape[1] == 12
    save_file({name: torch.from_numpy(each) for name, each in tensors.items()}, place / "narrow.safetensors")
    told = [f"model.training={narrow / 'training'}", f"model.start={place / 'narrow.safetensors'}", "data.dev=[]"]
    assert main([str(place / "conf.toml"), *told, f"train.run={place / 'narrowed'}"]) == 0
    losses = [line["loss"] for line in curve(place / "narrowed") if "loss" in line]
    assert losses[-1] < losses[0]


NORMED = """model m() {
    dim B: batch
    dim T: time @ 100 Hz
    component e(x: f32[B, T, 20]) -> f32[B, T, 5] { return linear(layer_norm(linear(x, 8) as first) as norm, 5) }
    prune { e.first.channels: 0.5 }
}
"""


def test_channels_that_a_norm_counts_are_no_matter_of_zeros(tmp_path: Path) -> None:
    (tmp_path / "m.mct").write_text(NORMED)
    build(tmp_path / "m.mct", tmp_path / "built", BuildOptions(target="torch"))
    with pytest.raises(ConfigError, match=r"cuts channels that norms count \(e.norm\)"):
        Pruning(Prune(str(tmp_path / "built"), 0, 9), torch.nn.Module())


def test_a_model_for_other_tokens_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = place / "few.txt"
    few.write_text("\n".join("\N{LOWER ONE EIGHTH BLOCK}'abcdefghijklmnopqrstuvwxy"))
    assert main([str(place / "conf.toml"), f"data.tokens={few}", f"train.run={place / 'never'}"]) == 1
    assert "data.tokens makes 28 classes with the blank, and the model has more" in capsys.readouterr().err
