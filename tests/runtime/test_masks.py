"""Masks in what is built: streams with look-ahead, whole utterances in batches, and padded batches, in every target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from mctc.driver import BuildOptions, build
from mctc.driver.make import target_named
from mctc.driver.manifest import PROGRAM, WHOLE
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.text import parse_program
from mctc.runtime.built import open_built
from mctc.runtime.step import Packages
from mctc.streaming.derive import derive_program
from mctc.streaming.run import stream
from mctc.weights import Weights

SPEC = Path(__file__).parent / "masked.mct"
COMPONENTS = ("cells", "views", "marks")
FRAMES = 12
MASKS = {
    "ones": (np.ones(FRAMES), np.ones((2, FRAMES))),
    "zeros": (np.zeros(FRAMES), np.zeros((2, FRAMES))),
    "ragged": (np.arange(FRAMES) < 9, np.arange(FRAMES) < np.array([[7], [3]])),
    "holes": (np.arange(FRAMES) % 3 > 0, np.arange(FRAMES) % np.array([[2], [5]]) > 0),
}
NEEDS = {"ane": (), "torch": ("torch",), "onnx": ("onnx", "onnxruntime"), "coreai": ("coreai",)}
TOLERANCE = 1e-3  # of the largest entry: constants of a step are rounded to fp16, masks are right or wrong


@dataclass
class Masked:
    """A build, its program and its artifacts opened in fp32."""

    folder: Path

    def __post_init__(self) -> None:
        self.built = open_built(self.folder)
        self.whole, self.deployed = (parse_program((self.folder / name).read_text()) for name in (WHOLE, PROGRAM))
        self.infos = derive_program(self.whole, self.built.lengths)[1]
        self.packages = Packages(self.built, "fp32", self.built.values)
        self.weights = Weights(self.whole.sources, 0, cache=True)

    def reference(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        parameters = self.whole.parameters
        return evaluate(self.whole.functions[name], inputs, lambda key: self.weights.deployed(parameters[key]))[0]

    def stepped(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        step, info = self.packages.step(name), self.infos[name]
        made = self.deployed.functions[name], info
        return stream(lambda _: made, inputs, repeat(info.chunk), lambda _, given, __: (step(given), {}))


def laid_out(name: str, mask: str, batch: int = 1, frames: int = FRAMES, seed: int = 0) -> dict[str, Array]:
    """Inputs of a component as a whole program has them: (batch, channel, 1, time)."""
    (one, rows), rng = MASKS[mask], np.random.default_rng(seed)
    one, rows = one[None, None, None].astype(np.float64), rows[:batch, None, None].astype(np.float64)
    given: dict[str, Array] = {"x": rng.normal(size=(batch, 4, 1, FRAMES)).astype(np.float16).astype(np.float64)}
    if name == "marks":
        given |= {"on": rows > 0, "count": rng.integers(0, 9, rows.shape)}
    else:
        given |= {"one": one, "rows": rows}
    return {key: array[..., :frames] for key, array in given.items()}


def agree(expected: Mapping[str, Array], actual: Mapping[str, Array]) -> None:
    for name, array in expected.items():
        assert np.isfinite(array).all()
        whole = array.astype(np.float64)
        np.testing.assert_allclose(actual[name], whole, rtol=0, atol=TOLERANCE * np.abs(whole).max(), err_msg=name)


@pytest.fixture(scope="module", params=["ane", "torch", "onnx", pytest.param("coreai", marks=pytest.mark.slow)])
def masked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Masked:
    if not all(find_spec(module) for module in NEEDS[request.param]):
        pytest.skip(f"{request.param} can't be executed here")
    folder = tmp_path_factory.mktemp("masked") / request.param
    exact = "fp32" in target_named(request.param).forms["precision"]
    options = BuildOptions(target=request.param, precision="fp32" if exact else None, allow_errors=True)
    build(SPEC, folder, options)
    return Masked(folder)


@pytest.mark.parametrize("mask", sorted(MASKS))
@pytest.mark.parametrize("name", COMPONENTS)
def test_a_stream_with_look_ahead_hears_by_its_masks(masked: Masked, name: str, mask: str) -> None:
    for frames in (FRAMES, FRAMES - 3):
        inputs = laid_out(name, mask, frames=frames)
        agree(masked.reference(name, inputs), masked.stepped(name, inputs))


@pytest.mark.parametrize("mask", sorted(MASKS))
@pytest.mark.parametrize("name", COMPONENTS)
def test_each_utterance_of_a_batch_has_its_row(masked: Masked, name: str, mask: str) -> None:
    if name not in masked.built.whole:
        pytest.skip("this target writes steps alone, of one stream")
    entry, inputs = masked.built.whole[name], laid_out(name, mask, batch=2)
    function = masked.packages.engine(entry.package).function(entry.stored_as)
    made = function({entry.inputs[key]: array for key, array in inputs.items()})
    agree(masked.reference(name, inputs), {key: made[stored] for key, stored in entry.outputs.items()})


@pytest.mark.parametrize("mask", sorted(MASKS))
@pytest.mark.parametrize("name", COMPONENTS)
def test_a_padded_batch_gives_what_each_utterance_gives_alone(masked: Masked, name: str, mask: str) -> None:
    """Marks behind an utterance tell nothing: whatever they are, its own frames are the same."""
    if masked.built.target.name != "torch":
        pytest.skip("batches of several lengths are for training")
    import torch

    component = getattr(masked.packages.engine(masked.built.functions[name].package).model, name)
    inputs = {key: torch.tensor(array) for key, array in laid_out(name, mask, batch=2).items()}
    inputs = {key: array.float() if array.is_floating_point() else array for key, array in inputs.items()}
    lengths = torch.tensor([FRAMES, 5])
    with torch.no_grad():
        made = component(**inputs, lengths=lengths)
    for row, frames in enumerate(lengths.tolist()):
        alone = {k: a[row : row + 1] if len(a) > 1 else a for k, a in inputs.items()}
        expected = masked.reference(name, {key: array[..., :frames].numpy() for key, array in alone.items()})
        agree(expected, {n: y[row : row + 1, ..., :frames].numpy() for n, y in zip(expected, made, strict=True)})
