"""A width that components have in common goes in all of them, and in heads that only train; what is read from outside
stays, and the message says how it would not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bench.reduced import SIZES
from mctc.coded import opened
from mctc.compress.sorting import kept_tensors, orders, sorted_tensors
from mctc.diagnostics.diagnostic import LocatedError
from mctc.driver import BuildOptions, build
from mctc.driver.load import load_program
from mctc.ir.ops.linear import channel_axis
from mctc.ir.program import Program
from mctc.ir.recipes import compose, with_recipe
from mctc.ir.text import parse_program, print_program
from mctc.objectives.narrowed_heads import columns_left
from mctc.objectives.wiring import wires
from mctc.passes.prune import Prune
from mctc.rewrite.axis_groups import Groups
from mctc.rewrite.kept_ports import KeptPorts
from mctc.rewrite.removed_groups import removed
from mctc.rewrite.validate import ValidationError, validate
from tests.passes.pruned import drawn_scores, program_of, pruned

SPEC = """model m(width = 12) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = 7
    component encoder(mel: f32[B, T, 20]) -> f32[B, T, width] {
        x = linear(mel, width) as first
        repeat 2 { x = x + gelu(linear(layer_norm(x) as norm, width) as up) }
        return layer_norm(x) as last
    }
    component predictor(token: i32[B, U] < V) -> f32[B, U, 10] { return lstm(embedding(token, V, 6), 10) as cell }
    component joiner(enc: f32[B, T, width], pred: f32[B, U, 10]) -> f32[B, T, U, V] {
        return linear(tanh(linear(enc, 8) as of_frames + linear(pred, 8) as of_labels), V) as out
    }
    TRAIN
    stream { chunk = 80 ms }
    PRUNE
}
"""
HEADS = 'auxiliary = [ctc(of = encoder, weight = 0.3), ctc(of = "encoder.layers.0.up", weight = 0.1)]'
TRAINED = SPEC.replace("TRAIN", f"train {{ objective = rnnt(blank = 0); {HEADS} }}")
BOTH = "encoder.first.channels: 0.25; predictor.cell.cells: 0.5"


def shapes(program: Program) -> dict[str, tuple[int, ...]]:
    return {name: each.type.shape for name, each in program.parameters.items()}


def test_the_result_of_one_component_and_the_input_of_another_shrink_together(tmp_path: Path) -> None:
    before = program_of(TRAINED, tmp_path, BOTH)
    after = pruned(before)
    assert validate(Prune(), before, after) < 1e-9
    found = shapes(after)
    assert (found["joiner.of_frames.weight"], found["joiner.of_labels.weight"]) == ((8, 9), (8, 5))
    assert (found["encoder.last.weight"], found["predictor.cell.weight_hh"]) == ((9,), (20, 5))
    assert [each.type.extents[-1].value for each in after.functions["joiner"].inputs] == [9, 5]


def test_components_agree_when_one_is_fed_with_what_the_other_gives(tmp_path: Path) -> None:
    ports = KeptPorts.of(program_of(TRAINED, tmp_path, BOTH))
    kept = ports.results["encoder", "output"], ports.inputs["joiner", "enc"]
    assert [list(each[2]) for each in kept] == [list(range(9))] * 2
    assert ports.results.keys() == {("encoder", "output"), ("predictor", "output")}


@pytest.mark.parametrize("name", ["joiner.of_frames.weight", "joiner.of_labels.weight", "encoder.last.weight"])
def test_the_proof_fails_where_the_two_sides_have_other_channels(name: str, tmp_path: Path) -> None:
    before = program_of(TRAINED, tmp_path, BOTH)
    after = pruned(before)
    smaller, whole = after.parameters[name], before.parameters[name]
    axis, size = whole.type.rank - 1, whole.type.shape[-1]
    kept = smaller.type.shape[-1]
    other = compose("slice", [whole.recipe], {"axis": axis, "begin": size - kept, "end": size})
    after.parameters = {**after.parameters, name: with_recipe(smaller, name, other)}
    with pytest.raises(ValidationError, match="promised masks"):
        validate(Prune(), before, after)


def test_heads_that_only_train_lose_the_columns_of_what_they_read(tmp_path: Path) -> None:
    after = pruned(program_of(TRAINED, tmp_path, BOTH))
    kept = list(range(9)), 12
    assert [columns_left(after.train, name) for name in ("auxiliary_ctc", "auxiliary_ctc_1")] == [kept, kept]
    again = parse_program(print_program(after))
    assert columns_left(again.train, "auxiliary_ctc_1") == kept
    rest = pruned(program_of(TRAINED, tmp_path, "predictor.cell.cells: 0.5"))
    assert columns_left(rest.train, "auxiliary_ctc") is None


@pytest.mark.parametrize(
    ("spec", "rule", "told"),
    [
        (
            SPEC.replace("TRAIN", ""), "encoder.first.channels: 0.25",
            ("`output`, a result of encoder", "the model has no objective", "`train { objective = rnnt(blank = 0) }`"),
        ),
        (
            TRAINED.replace("f32[B, T, width] {", "(seen: f32[B, T, width], heard: f32[B, T, width]) {").replace(
                "return layer_norm(x) as last", "return layer_norm(x) as last, x"
            ),
            "encoder.first.channels: 0.25",
            ("`heard`, a result of encoder", "no component of the model reads it", "a layer behind it"),
        ),
        (TRAINED.replace("x = linear(mel, width) as first", "x = mel").replace("20]", "width]"),
         "encoder.layers.0.up.channels: 0.25", ("`mel`, an input of encoder", "fed from outside")),
        (TRAINED, "joiner.out.channels: 0.25", ("`output`, a result of joiner", "no component of the model reads it")),
    ],
)  # fmt: skip
def test_what_is_read_or_fed_from_outside_is_named_with_what_frees_it(
    spec: str, rule: str, told: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(LocatedError, match="MCT0158") as caught:
        pruned(program_of(spec, tmp_path, rule))
    assert all(each in caught.value.render() for each in told), caught.value.render()


def test_a_share_that_leaves_nothing_of_a_part_is_refused(tmp_path: Path) -> None:
    cut = 'return linear(slice(x, "channel", 8, 12), width) as last'
    text = TRAINED.replace("return layer_norm(x) as last", cut)
    before = program_of(text, tmp_path, "encoder.first.channels: 0.25")
    assert validate(Prune(), before, pruned(before)) < 1e-9
    with pytest.raises(LocatedError, match=r"channels: 0.5` would leave nothing of slice of encoder"):
        pruned(program_of(text, tmp_path, "encoder.first.channels: 0.5"))


BESIDE = """model m(width = 12) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = 7
    component encoder(mel: f32[B, T, 20]) -> f32[B, T, width] { return linear(mel, width) as first }
    component between(heard: f32[B, T, width]) -> f32[B, T, 6] { return linear(heard, 6) as second }
    component decoder(token: i32[B, U] < V, memory: f32[B, T, width]) -> f32[B, U, V] {
        y = embedding(token, V, 8)
        k = linear(memory, 8)
        return linear(y + attention(y, k, k, heads = 2), V)
    }
    train { objective = cross_entropy(begin = 1, end = 2) }
    PRUNE
}
"""


def test_an_input_that_could_then_take_another_result_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocatedError, match="does not tell which component reads what") as caught:
        pruned(program_of(BESIDE, tmp_path, "encoder.first.channels: 0.5"))
    assert "call the result that it takes `memory`" in caught.value.render()


def test_a_whole_checkpoint_and_a_cut_one_make_the_same_heads(tmp_path: Path) -> None:
    program = program_of(TRAINED, tmp_path, BOTH)
    noise = np.random.default_rng(0)
    tensors = {name: noise.normal(0, 1, type_.shape) for name, (type_, _) in program.sources.items()}
    tensors |= {"auxiliary_ctc.weight": noise.normal(0, 1, (7, 12, 1, 1)), "auxiliary_ctc.bias": noise.normal(0, 1, 7)}
    save_file({name: each.astype(np.float32) for name, each in tensors.items()}, tmp_path / "w")
    held = opened(tmp_path / "w")
    groups, order = orders(program, held, drawn_scores(held, tmp_path))
    put = sorted_tensors(program, groups, order, held)
    (of_width,) = (each for each in order if each.dimension.name == "encoder.first.channels")
    head, weight = "auxiliary_ctc.weight", held.read("auxiliary_ctc.weight")
    np.testing.assert_array_equal(put[head], weight[:, of_width.places])
    less = kept_tensors(program, groups, removed(program, groups), put)
    np.testing.assert_array_equal(less[head], put[head][:, :9])
    np.testing.assert_array_equal(less["auxiliary_ctc.bias"], put["auxiliary_ctc.bias"])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mct_small", ["encoder.output > joiner.enc", "predictor.output > joiner.pred"]),
        (
            "conformer_s2s",
            ["encoder.memory > cross.memory", "cross.keys > decoder.keys", "cross.values > decoder.values"],
        ),
        ("samba_asr", ["encoder.memory > decoder.memory"]),
        ("conformer_ctc", []),
        ("qwen3_asr_0_6b", []),
    ],
)
def test_inputs_take_the_results_that_the_objective_says(name: str, told: list[str]) -> None:
    found = wires(load_program(Path(f"spec/{name}.mct"), None, dict(SIZES[name])))
    assert [f"{each.maker.name}.{each.result} > {each.reader.name}.{each.input.name}" for each in found] == told
    assert all(each.value.type.extents[-1] == each.input.type.extents[-1] for each in found)


def test_frames_that_stand_among_rows_of_a_table_say_so(tmp_path: Path) -> None:
    text = Path("spec/qwen3_asr_0_6b.mct").read_text().rstrip().removesuffix("}")
    (tmp_path / "m.mct").write_text(f"{text} prune {{ encoder.linear_2.channels: 0.25 }} }}\n")
    with pytest.raises(LocatedError, match="a result of encoder") as caught:
        pruned(load_program(tmp_path / "m.mct", None, dict(SIZES["qwen3_asr_0_6b"])))
    assert "rows of a table that lies beside the packages stand among its frames" in caught.value.render()


@pytest.mark.parametrize(
    ("name", "rule", "fewer"),
    [
        ("mct_small", "encoder.subsample.proj.channels: 0.25; predictor.**.cells: 0.25", 0.9),
        ("mct2_small", "encoder.subsample.proj.channels: 0.25; **.state: 0.5; encoder.**.heads: 0.5", 0.85),
        ("whisper_tiny", "encoder.conv2.channels: 0.25; **.heads: 0.5; decoder.position.channels: 0.25", 0.7),
        ("rnnt_lstm", "**.cells: 0.25", 0.95),
        ("parakeet_tdt", "encoder.subsample.proj.channels: 0.25; predictor.**.cells: 0.25", 0.95),
        ("denoiser", "enhance.into.channels: 0.25", 0.8),
        ("wav2vec2", "encoder.pos_conv.groups: 0.25", 0.9),
        ("moonshine_tiny", "**.heads: 0.5", 0.85),
    ],
)
def test_specs_lose_widths_that_components_share(name: str, rule: str, fewer: float, tmp_path: Path) -> None:
    text = Path(f"spec/{name}.mct").read_text()
    end = text.index("\n}\n", text.index("\nmodel "))
    (tmp_path / f"{name}.mct").write_text(f"{text[:end]}\n    prune {{ {rule} }}{text[end:]}")
    model = {"wav2vec2": "wav2vec2_base"}.get(name)
    before = load_program(tmp_path / f"{name}.mct", model, dict(SIZES[name]))
    after = pruned(before)
    assert validate(Prune(), before, after) < 1e-9
    sizes = [sum(each.type.size for each in program.parameters.values()) for program in (before, after)]
    assert sizes[1] < fewer * sizes[0]
    assert all(len(Groups(after).of(value, axis)) == extent.value for f in after.functions.values()
               for value in f.inputs for axis, extent in enumerate(value.type.extents) if extent.is_static)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("target", ["ane", "onnx", "coreai", "mlx"])
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("mct_small", "encoder.subsample.proj.channels: 0.25; predictor.**.cells: 0.25"),
        ("mct2_small", "encoder.subsample.proj.channels: 0.25; encoder.**.heads: 0.5; encoder.**.state: 0.5"),
        ("whisper_tiny", "encoder.conv2.channels: 0.25; **.heads: 0.5"),
    ],
)
def test_every_target_stores_what_is_left_in_few_bits_and_computes_it(
    name: str, rule: str, target: str, tmp_path: Path
) -> None:
    text = Path(f"spec/{name}.mct").read_text()
    end = text.index("\n}\n", text.index("\nmodel "))
    forms = "quantize { encoder.**: int4(per_channel); **: int8(per_channel) }"
    told = f"prune {{ {rule} }}" if "quantize {" in text else f"prune {{ {rule} }}\n    {forms}"
    (tmp_path / f"{name}.mct").write_text(f"{text[:end]}\n    {told}{text[end:]}")
    size = {**SIZES[name], "width": 64, "depth": 1}
    options = BuildOptions(target=target, defines=size, verify_each=target == "onnx")
    result = build(tmp_path / f"{name}.mct", tmp_path / "built", options)  # refused where it computes something else
    stored = {each.quantization.scheme for each in result.compiled.deployed.parameters.values() if each.quantization}
    assert stored == {"int4", "int8"}
    made = result.compiled.whole.functions["encoder"].results[0][1].type
    assert made.extents[channel_axis(made)].value == 48
