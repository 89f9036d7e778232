"""Tables that an app looks up: rows in, the same results as from ids."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from mctc.driver import BuildOptions, build
from mctc.driver.options import BuildError
from mctc.package import read_package
from mctc.proof.proof import Proof
from mctc.quantize import quantize
from mctc.runtime.built import open_built
from mctc.runtime.searched import recogniser
from mctc.weights import Weights
from tests.driver.conftest import SPEC

COREAI = pytest.param("coreai", marks=pytest.mark.skipif(find_spec("coreai") is None, reason="coreai is not installed"))
TABLE = "tables/predictor.embedding.weight.npy"
NUMBERS = """model turns(width = 16) {
    dim B: batch
    dim U: label
    component c(place: i32[B, U] < 20, x: f32[B, U, width]) -> f32[B, U, width] {
        return tanh(x + op.embedding(place, constant(file = "turns.npy", shape = [20, 16]), host = true))
    }
    quantize { c.**: f32 }
}
"""


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small transducer, whose predictor leaves the lookup to the app."""
    folder = tmp_path_factory.mktemp("asked")
    spec = folder / "small.mct"
    spec.write_text(SPEC.replace("embedding(token, V, width)", "embedding(token, V, width, host = true)"))
    build(spec, folder / "ane")
    return folder


@pytest.mark.parametrize("target", ["ane", COREAI])
def test_a_build_that_takes_rows_holds_its_table_and_every_runtime_agrees(asked: Path, target: str) -> None:
    folder = asked / target
    if not folder.exists():
        build(asked / "small.mct", folder, BuildOptions(target=target))
    port = json.loads((folder / "manifest.json").read_text())["functions"]["predictor"]["inputs"][0]
    assert (port["name"], port["shape"], port["dtype"], port["embedding_table"]) == (
        "token",
        [1, 32, 1, 1],
        "fp16",
        TABLE,
    )
    checks = list(Proof(folder, runtimes=("onnx",)).checks())
    assert not [check for check in checks if check.ok is False]
    assert {check.component for check in checks if check.error} >= {"encoder", "predictor", "joiner"}


def test_the_table_has_a_row_for_every_id_and_is_not_in_the_package(asked: Path) -> None:
    built = open_built(asked / "ane")
    table = np.load(asked / "ane" / TABLE)
    assert (table.shape, table.dtype) == ((41, 32), np.float16)
    program = build(asked / "small.mct", asked / "again").compiled.deployed
    stored = Weights(program.sources).deployed(program.parameters["predictor.embedding.weight"])
    assert np.array_equal(table, stored[:41])
    package = read_package(built.functions["predictor"].package)
    stored_shapes = {result.type.shape for op in package.functions["predictor"].operations for result in op.outputs}
    assert (64, 32) not in stored_shapes, "the table, padded, is in the package as well"


def test_a_search_looks_rows_up(asked: Path, make) -> None:
    """The predictor's answer to a token is the one of a build that takes the id."""
    plain = make("plain").folder
    by_row, by_id = (recogniser(open_built(folder), "fp32").engine for folder in (asked / "ane", plain))
    assert by_row is not None
    assert by_id is not None
    row, number = by_row.start(), by_id.start()
    for token in (0, 7, 40):
        (one, (row,)), (other, (number,)) = by_row.predict([token], [row]), by_id.predict([token], [number])
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_a_compressed_table_is_written_as_it_is_deployed(tmp_path: Path) -> None:
    spec = tmp_path / "small.mct"
    text = SPEC.replace("embedding(token, V, width)", "embedding(token, V, width, host = true)")
    spec.write_text(text.replace("encoder.**.in_proj: int4", "predictor.**.embedding: int8"))
    program = build(spec, tmp_path / "out").compiled.deployed
    parameter = program.parameters["predictor.embedding.weight"]
    assert parameter.quantization is not None
    exact = Weights(program.sources).exact(parameter)
    expected = quantize(exact, parameter.quantization).dequantize()[:41]
    assert np.array_equal(np.load(tmp_path / "out" / TABLE), expected.astype(np.float16))


@pytest.mark.parametrize("target", ["ane", COREAI])
@pytest.mark.parametrize("rule", ["**.embedding: f32", "predictor.**: f32"], ids=["stored", "computed too"])
def test_a_table_asked_in_fp32_is_looked_up_in_fp32(tmp_path: Path, target: str, rule: str) -> None:
    spec = tmp_path / "small.mct"
    text = SPEC.replace("embedding(token, V, width)", "embedding(token, V, width, host = true)")
    spec.write_text(text.replace("encoder.**.in_proj: int4(per_channel)", rule))
    program = build(spec, tmp_path / "out", BuildOptions(target=target)).compiled.deployed
    exact = Weights(program.sources).exact(program.parameters["predictor.embedding.weight"])[:41]
    table = np.load(tmp_path / "out" / TABLE)
    assert table.dtype == np.float32
    assert np.array_equal(table, exact.astype(np.float32))
    port = json.loads((tmp_path / "out/manifest.json").read_text())["functions"]["predictor"]["inputs"][0]
    assert port["dtype"] == {"ane": "fp32", "coreai": "fp16"}[target]
    checks = list(Proof(tmp_path / "out", runtimes=("onnx",)).checks())
    assert not [check for check in checks if check.ok is False]


def test_numbers_that_a_part_in_fp32_looks_up_are_in_fp32(tmp_path: Path) -> None:
    (tmp_path / "turns.mct").write_text(NUMBERS)
    numbers = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32)
    np.save(tmp_path / "turns.npy", numbers)
    build(tmp_path / "turns.mct", tmp_path / "out")
    assert np.array_equal(np.load(tmp_path / "out/tables/c.place.npy"), numbers)


def test_a_manifest_whose_table_is_elsewhere_is_damaged(asked: Path, tmp_path: Path) -> None:
    text = (asked / "ane" / "manifest.json").read_text().replace(TABLE, "../table.npy")
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BuildError, match="the table of token is outside of the folder"):
        open_built(tmp_path)
