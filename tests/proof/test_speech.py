"""How much speech is fed: what fills the states of a step."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.language import elaborate_file
from mctc.proof.proof import Proof
from mctc.proof.speech import LONG_SPEECH_S, SPEECH_S, speech_s
from mctc.streaming.derive import derive_program
from mctc.streaming.lengths import Lengths

TEXT = """model m {{
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(mel: f32[B, T, 8]) -> f32[B, T, 8] {{ return conv1d(mel, 8, {frames}) }}
    stream {{ chunk = 80 ms }}
}}
"""


@pytest.mark.parametrize(("frames", "seconds"), [(3, SPEECH_S), (201, SPEECH_S), (202, LONG_SPEECH_S)])
def test_speech_is_longer_where_a_state_holds_more_than_the_usual_fills(
    frames: int, seconds: float, tmp_path: Path
) -> None:
    (tmp_path / "m.mct").write_text(TEXT.format(frames=frames))
    program = elaborate_file(tmp_path / "m.mct")
    assert speech_s(*derive_program(program, Lengths(8))) == seconds


def test_a_build_is_fed_as_many_frames(small: Path) -> None:
    heard = Proof(small).subject.heard["noise"]
    assert len(heard) == pytest.approx(100 * SPEECH_S, abs=5)
