"""examples/recurrences: every mixer is checked, one is built and proven."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.driver import BuildOptions, build
from mctc.language import elaborate_file

SPEC = Path(__file__).parents[2] / "examples/recurrences/recogniser.mct"
MIXERS = ("gla", "delta", "gated_delta", "mlstm", "slstm", "rwkv7")


@pytest.mark.parametrize("mixer", MIXERS)
def test_every_mixer_makes_a_recogniser(mixer: str) -> None:
    program = elaborate_file(SPEC, defines={"mixer": mixer, "depth": 2})
    assert any(".mix." in name for name in program.parameters)


def test_a_recogniser_is_built_and_told_how(tmp_path: Path) -> None:
    small = {"mixer": "delta", "width": 32, "depth": 1, "mels": 16, "heads": 2}
    result = build(SPEC, tmp_path / "built", BuildOptions(defines=small))
    made = " ".join(str(why) for why in result.compiled.explanations)
    assert "by pairs of frames, with a term of rank one" in made
