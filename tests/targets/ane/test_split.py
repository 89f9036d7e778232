"""`--split`: a function written as a chain of packages computes, bit for bit, what it computes as one."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import mctc
from bench.reduced import SIZES
from mctc.driver.make import BuildResult, build
from mctc.driver.options import BuildError, BuildOptions, OptionError
from mctc.numerics.battery import NOISE, draw
from mctc.numerics.sizes import symbol_sizes
from mctc.proof.proof import Proof
from mctc.runtime.built import open_built
from mctc.runtime.step import Packages
from mctc.targets.ane.split import balanced

SMALL = {"width": 32, "depth": 3, "vocab": 20}


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, BuildResult]:
    """mct_small with three blocks, in one package and cut."""
    folder = tmp_path_factory.mktemp("split")
    asked: dict[str, dict[str, str]] = {"one": {}, "two": {"split": "2"}, "layers": {"split": "layers"}}
    return {
        name: build(root / "spec/mct_small.mct", folder / name, BuildOptions(defines=SMALL, state="packed", **more))
        for name, more in asked.items()
    }


@pytest.mark.parametrize("how", ["two", "layers"])
def test_outputs_and_states_are_those_of_the_whole_bit_for_bit(how: str, built: dict[str, BuildResult]) -> None:
    one, parts = (mctc.open(built[name].folder, arithmetic="fp16").function("encoder") for name in ("one", how))
    rng = np.random.default_rng(0)
    for _ in range(3):
        mel = rng.normal(size=(1, 80, 1, 32)).astype(np.float16)
        expected, got = one(mel=mel), parts(mel=mel)
        assert expected.keys() == got.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(array, got[name])
    held = {port.name for port in built[how].compiled.deployed.functions["encoder"].states}
    assert len(held) == 2 + 2 * SMALL["depth"]


@pytest.mark.slow  # two builds a spec; the model above is in the quick set
@pytest.mark.parametrize("name", SIZES)
def test_every_spec_computes_in_parts_what_it_computes_as_one(name: str, root: Path, tmp_path: Path) -> None:
    """Outputs of five calls in fp16, into which the states behind those before them go."""
    one, two = (tmp_path / folder for folder in ("one", "two"))
    asked = BuildOptions(defines=SIZES[name], state="packed")
    build(root / f"spec/{name}.mct", one, asked)
    built = build(root / f"spec/{name}.mct", two, replace(asked, split="2"))
    cut = [name for name, told in built.manifest["functions"].items() if len(parts(two / told["package"])) > 1]
    assert cut
    for function in cut:
        program = built.compiled.deployed.functions[function]
        whole, chain = (Packages(open_built(folder), "fp16").step(function) for folder in (one, two))
        for seed in range(5):
            given = draw(program, symbol_sizes(program), NOISE, seed=seed)
            expected, got = whole(given), chain(given)
            assert expected.keys() == got.keys()
            for key, array in expected.items():
                np.testing.assert_array_equal(array, got[key], err_msg=f"{function}: {key}")


def parts(package: Path) -> list[object]:
    """The parts of a chain; nothing for a package."""
    told: list[object] = json.loads(package.read_text(encoding="utf-8"))["parts"] if package.suffix == ".json" else []
    return told


def test_each_part_has_a_package_and_one_packed_state(built: dict[str, BuildResult]) -> None:
    folder = built["two"].folder
    told = json.loads((folder / "mct_small_encoder.chain.json").read_text(encoding="utf-8"))
    assert [part["package"] for part in told["parts"]] == [f"mct_small_encoder_{k}of2.mlpackage" for k in (1, 2)]
    assert all((folder / part["package"]).is_dir() for part in told["parts"])
    assert all(len({state["tensor"] for state in part["states"]}) == 1 for part in told["parts"])
    first, second = told["parts"]
    assert second["inputs"] == first["outputs"], "one value crosses"
    layers = json.loads((built["layers"].folder / "mct_small_encoder.chain.json").read_text(encoding="utf-8"))
    assert len(layers["parts"]) == SMALL["depth"] + 2, "what is before the layers, each of them, and what is behind"


def test_the_costliest_part_is_as_cheap_as_can_be() -> None:
    before = [0, 5, 6, 7, 8, 20, 21]
    for count, cheapest in ((2, 13), (3, 12), (4, 12)):
        cuts = balanced([1, 2, 3, 4, 5], before, count)
        assert len(cuts) == count - 1
        assert max(before[end] - before[start] for start, end in pairwise([0, *cuts, 6])) == cheapest


def test_lint_tells_of_each_part(built: dict[str, BuildResult]) -> None:
    told = json.loads((built["two"].folder / "placement.json").read_text(encoding="utf-8"))
    assert "mct_small_encoder_2of2.mlpackage" in json.dumps(told)


@pytest.mark.slow  # every check of `mctc verify`; the bits above say the same of the chain
def test_a_chain_is_proven_and_asks_other_runtimes_for_the_whole(built: dict[str, BuildResult]) -> None:
    pytest.importorskip("onnxruntime")
    checks = list(Proof(built["two"].folder, runtimes=("onnx",)).checks())
    assert {check.name for check in checks} >= {"package evaluator, fp16", "onnxruntime, fp32"}
    assert [check for check in checks if check.ok is False] == []


def test_what_can_not_be_cut_so_often_or_keeps_no_states_is_refused(root: Path, tmp_path: Path) -> None:
    spec = root / "spec/mct_small.mct"
    with pytest.raises(BuildError, match="can't be cut into 500 parts"):
        build(spec, tmp_path / "a", BuildOptions(defines=SMALL, split="500"))
    with pytest.raises(OptionError, match="target onnx can't be split"):
        build(spec, tmp_path / "b", BuildOptions(defines=SMALL, target="onnx", split="2"))
    with pytest.raises(OptionError, match="split can't be 'some'"):
        BuildOptions(split="some")
    with pytest.raises(OptionError, match="--state io"):
        BuildOptions(split="2", state="io")
