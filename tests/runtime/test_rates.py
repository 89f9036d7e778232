"""Runtimes over inputs of other rates than their dimension's, and joiners that carry states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.driver import build
from mctc.driver.options import BuildError
from mctc.evaluate.reference import evaluate
from mctc.ir.text import parse_program
from mctc.runtime.built import open_built
from mctc.runtime.encoder import Encoder
from mctc.runtime.searched import recogniser
from mctc.runtime.step import Packages

FINER = """
model finer(width = 8) {
    dim B: batch
    dim T: time @ 50 Hz
    component encoder(mel: f32[B, 2 * T, 80]) -> f32[B, T/2, width] {
        x = conv1d(mel, width, 4, stride = 4, look_ahead = 3)
        return conv1d(x, width, 3, look_ahead = 1)
    }
    stream { chunk = 160 ms }
}
"""


@pytest.fixture(scope="module")
def finer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finer")
    (folder / "finer.mct").write_text(FINER)
    return build(folder / "finer.mct", folder / "out").folder


@pytest.mark.parametrize("frames", [64, 61, 3])
def test_an_encoder_of_a_finer_input_streams_what_the_whole_function_gives(frames: int, finer: Path) -> None:
    built = open_built(finer)
    assert built.front_end is not None, "2 * T frames at 50 Hz are log-mel frames at 100 Hz"
    encoder = Encoder(Packages(built, "fp32").step("encoder"))
    assert encoder.chunk == 16
    mel = np.random.default_rng(0).normal(size=(frames, 80)).astype(np.float32)
    parts = []
    for start in range(0, frames, 16):
        part = mel[start : start + 16]
        parts.append(encoder.push(np.pad(part, ((0, 16 - len(part)), (0, 0))), len(part)))
    streamed = np.concatenate([*parts, encoder.finish()])
    program = parse_program((finer / "whole.mir").read_text())
    weights, whole = built.values(program), -(-frames // 4) * 4
    given = {"mel": np.pad(mel, ((0, whole - frames), (0, 0))).T[None, :, None]}
    function = program.functions["encoder"]
    expected, _ = evaluate(function, given, lambda key: weights.deployed(program.parameters[key]))
    np.testing.assert_allclose(streamed, expected["output"][0, :, 0].T, atol=1e-5)


STATEFUL = """
model stateful(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = 9
    component encoder(mel: f32[B, T, 80]) -> f32[B, T, width] { return linear(mel, width) }
    component predictor(token: i32[B, U] < V) -> f32[B, U, width] { return embedding(token, V, width) }
    component joiner(enc: f32[B, T, width], pred: f32[B, U, width]) -> f32[B, T, U, V] {
        return linear(tanh(conv1d(enc, width, 3) + pred), V)
    }
    train { objective = rnnt(blank = 0) }
    stream { chunk = 40 ms }
}
"""


def test_a_joiner_that_carries_states_is_refused_by_the_search(tmp_path: Path) -> None:
    """It is called once a label, and each call would move its states on."""
    (tmp_path / "stateful.mct").write_text(STATEFUL)
    built = open_built(build(tmp_path / "stateful.mct", tmp_path / "out").folder)
    with pytest.raises(BuildError, match=r"joiner of [^ ]* carries states"):
        recogniser(built)
