"""Which result over time a decoder is given as a build is run: the one that it is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.decode.frames import Floats
from mctc.objectives.misfit import MisfitError
from mctc.runtime.encoder_decoder import EncoderDecoder
from tests.architectures.proof import Proof, largest_error

SPEC = Path(__file__).with_name("head_between.mct")
TEXT = (1, 7, 9, 3)
TRAIN = "    train { objective = joint_ctc_attention(blank = 0, begin = 1, end = 2) }\n"


def mel() -> Floats:
    return np.random.default_rng(0).normal(size=(32, 80)).astype(np.float32)


def test_a_head_between_takes_no_place_of_the_encoder(tmp_path: Path) -> None:
    proof = Proof.of(SPEC, tmp_path, ["ane"])
    engine = EncoderDecoder(proof.built["ane"], {}, "fp32")
    engine.hear(mel())
    said, _ = engine.start(TEXT)
    frames = proof.by_reference("encoder", {"mel": mel()[None]})["output"]
    want = proof.by_reference("decoder", {"token": np.array([TEXT]), "memory": frames})["output"][0]
    assert largest_error(said[:16], want[-1]) <= 1e-5


def test_results_of_one_type_and_other_names_are_no_guess(tmp_path: Path) -> None:
    spec = tmp_path / "spec.mct"
    alike = SPEC.read_text().replace("-> f32[B, T, V] { return linear(x, V)", "-> f32[B, T, width] { return x * 2")
    spec.write_text(alike.replace(TRAIN, ""))
    engine = EncoderDecoder(Proof.of(spec, tmp_path, ["ane"]).built["ane"], {}, "fp32")
    with pytest.raises(MisfitError, match="`memory` of `decoder` could take `output` of `encoder` or `output` of"):
        engine.hear(mel())
