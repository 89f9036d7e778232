"""What an asset holds: functions, ports, states in each form, metadata, and the same bytes every time."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from coreai.authoring import AIModelAsset

from mctc.diagnostics.errors import MctcError
from mctc.ir.build import Builder
from mctc.ir.program import Program, Value
from mctc.targets.coreai.engine import CoreAiEngine
from mctc.targets.coreai.errors import CoreAiError
from mctc.targets.coreai.graphs import read_graphs
from tests.targets.ane.hand_made import add_parameter, laid_out, random_inputs, single, streaming_program

from .conftest import Make

WINDOWS = ["layers_0_window", "layers_1_window"]
WRITE_IN = """
import sys
from pathlib import Path
from tests.targets.ane.hand_made import streaming_program
from tests.targets.ane.test_packages import COMPRESSED
from tests.targets.coreai.conftest import made
made(streaming_program(quantizations=COMPRESSED), Path(sys.argv[1]))
"""


def test_components_are_functions_of_one_asset(make: Make) -> None:
    made = make(streaming_program())
    summary = AIModelAsset.load(str(made.asset)).summary()
    assert made.written.artifacts == ("tiny.aimodel",)
    assert list(summary.function_names) == ["encoder", "joiner"]
    encoder = made.engine().function("encoder")
    assert [port.name for port in encoder.inputs] == ["mel", *WINDOWS]
    assert [port.shape for port in encoder.inputs] == [(1, 16, 1, 8), (1, 16, 1, 3), (1, 16, 1, 3)]
    assert made.engine().function().name == "encoder"


def test_nothing_is_computed_in_fp32(make: Make) -> None:
    for graph in read_graphs(make(streaming_program()).asset).values():
        tensors = [tensor for operation in graph.operations for tensor in operation.results]
        assert {tensor.dtype for tensor in tensors if "f" in tensor.dtype} == {"f16"}
        assert {tensor.dtype for tensor in (*graph.inputs, *graph.outputs)} == {"f16"}


def test_metadata_says_what_it_was_made_from_and_not_when(make: Make) -> None:
    made = make(streaming_program())
    described = json.loads((made.asset / "metadata.json").read_text())
    assert described["creatorDefinedMetadata"] == {"mctc.model": "tiny"}
    assert "creationDate" not in described
    assert AIModelAsset.load(str(made.asset)).metadata.creator_defined_metadata == {"mctc.model": "tiny"}


def test_two_processes_write_the_same_bytes(root: Path, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        subprocess.run([sys.executable, "-c", WRITE_IN, str(folder)], cwd=root, check=True, timeout=300)
    one, two = (sorted(path for path in folder.rglob("*") if path.is_file()) for folder in folders)
    assert [path.name for path in one] == ["main.hash", "main.mlirb", "metadata.json"]
    for first, second in zip(one, two, strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name
        assert str(tmp_path).encode() not in first.read_bytes()


def test_the_spec_s_names_are_the_names_of_the_weights(make: Make) -> None:
    data = (make(streaming_program()).asset / "main.mlirb").read_bytes()
    assert b"encoder.layers.1.proj.weight" in data
    assert b".py" not in data


def test_operations_are_at_the_lines_of_the_spec(make: Make) -> None:
    encoder = read_graphs(make(streaming_program()).asset)["encoder"]
    places = {operation.place for operation in encoder.of_kind("conv2d")}
    assert places >= {"encoder.layers.0 (tiny.mct:3:5)", "encoder.layers.1 (tiny.mct:4:5)"}


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_states_in_every_form_agree_over_chained_calls(make: Make, precision: str) -> None:
    program = streaming_program()
    passed = make(program, precision=precision).engine().function("encoder")
    held = make(program, state="separate", precision=precision).engine().function("encoder")
    assert not passed.states
    assert [port.name for port in held.states] == WINDOWS
    carried, state = {name: np.zeros((1, 16, 1, 3)) for name in WINDOWS}, held.make_state()
    for call in range(4):
        mel = {"mel": random_inputs(program.functions["encoder"], seed=call)["mel"]}
        results, kept = passed(mel | carried), held(mel, state)
        carried = {name: results[f"{name}_out"] for name in WINDOWS}
        np.testing.assert_array_equal(results["encoded"], kept["encoded"])
        for name in WINDOWS:
            np.testing.assert_array_equal(carried[name], state[name])
            assert np.any(state[name])


@pytest.mark.parametrize("state", ["io", "packed"])
def test_an_asset_agrees_with_its_program(make: Make, state: str) -> None:
    agreements = make(streaming_program(), state=state, precision="fp32").check()
    assert {agreement.result for agreement in agreements} == {"encoded", "logits", *(f"{w}_out" for w in WINDOWS)}
    assert max(agreement.error for agreement in agreements) < 1e-5


def test_a_result_that_is_an_input_a_constant_or_another_result_is_copied(make: Make) -> None:
    program = Program("copies")
    add_parameter(program, "w", 1, 16, 1, 8)
    b = Builder(program)
    x = Value(laid_out(16, 8), "x")
    y = b.op("relu", x)
    made = make(single(program, b, [x], x, b.parameter("w"), y, y), precision="fp32")
    assert len(made.check()) == 4


def test_a_wrong_asset_is_found_by_running_it(make: Make) -> None:
    made = make(streaming_program())
    type_, _ = made.program.sources["out.bias"]
    made.weights._cache = {("out.bias", "stored"): np.full(type_.shape, 3.0)}
    with pytest.raises(CoreAiError, match="differs from the program"):
        made.check()


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({}, "joiner needs input `enc`"),
        (
            {"enc": np.zeros((1, 16, 1, 7)), "pred": np.zeros((1, 16, 1, 1))},
            r"`enc` of joiner has shape \[1, 16, 1, 7\]",
        ),
        ({"encoded": np.zeros(1), "enc": np.zeros((1, 16, 1, 8))}, "joiner has no input `encoded`"),
        ({"enc": np.full((1, 16, 1, 8), "a"), "pred": np.zeros((1, 16, 1, 1))}, "`enc` of joiner is <U1"),
    ],
)
def test_inputs_that_do_not_fit_are_named(make: Make, given: dict[str, np.ndarray], match: str) -> None:
    joiner = make(streaming_program()).engine().function("joiner")
    with pytest.raises(MctcError, match=match):
        joiner(given)


def test_an_asset_computes_in_the_precision_that_it_was_built_in(make: Make) -> None:
    made = make(streaming_program(), precision="fp32")
    with pytest.raises(CoreAiError, match="computes in fp32, not in fp16"):
        CoreAiEngine(made.asset, "fp16")


def test_it_runs_inside_of_an_event_loop_too(make: Make) -> None:
    made = make(streaming_program())

    async def called() -> dict[str, np.ndarray]:
        return made.engine().function("joiner")({"enc": np.ones((1, 16, 1, 8)), "pred": np.ones((1, 16, 1, 1))})

    assert asyncio.run(called())["logits"].shape == (1, 16, 1, 8)


def test_a_function_outlives_what_opened_it(make: Make) -> None:
    joiner = make(streaming_program()).engine().function("joiner")
    gc.collect()
    assert np.isfinite(joiner({"enc": np.ones((1, 16, 1, 8)), "pred": np.ones((1, 16, 1, 1))})["logits"]).all()


def test_a_function_that_is_not_there_and_a_damaged_file_are_refused(make: Make, tmp_path: Path) -> None:
    made = make(streaming_program())
    with pytest.raises(CoreAiError, match="has no function 'encode'"):
        made.engine().function("encode")
    (made.asset / "main.mlirb").write_bytes(b"nothing")
    with pytest.raises(CoreAiError, match="is damaged"):
        made.engine()
    with pytest.raises(CoreAiError, match="is no Core AI asset"):
        CoreAiEngine(tmp_path)


def test_an_op_without_a_form_is_named_with_its_place(make: Make) -> None:
    program = Program("p")
    b = Builder(program)
    x = Value(laid_out(16, 8), "x")
    h = b.op("batch_norm", x, *(b.constant(np.ones(16)) for _ in range(2)))
    with pytest.raises(CoreAiError, match="batch_norm has no Core AI form"):
        make(single(program, b, [x], h))


def test_a_value_that_fp16_cannot_hold_is_refused_by_name(make: Make) -> None:
    program = Program("p")
    b = Builder(program)
    x = Value(laid_out(16, 8), "x")
    with pytest.raises(CoreAiError, match=r"a factor or limit has a value of magnitude 1e\+06, which fp16 can't hold"):
        make(single(program, b, [x], b.op("scale", x, factor=1e6)))


def test_a_process_that_leaves_assets_open_ends_well(make: Make) -> None:
    script = (
        "import sys; from pathlib import Path; from mctc.targets.coreai.engine import CoreAiEngine\n"
        "closed = [CoreAiEngine(Path(sys.argv[1])).function() and None for _ in range(2)]\n"
        "left_open = CoreAiEngine(Path(sys.argv[1])).function()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(make(streaming_program()).asset)], capture_output=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, b"")
