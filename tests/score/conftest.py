"""A build that hears two letters in loud sound, another that hears one, and recordings with what is said in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Command, command
from tests.said import RATE, SPEC

__all__ = ["RATE", "SPEC", "Command", "command"]

TEXTS = {"one": "a a a", "two": "A b, a", "three": "a a", "four": "a a a a"}
"""What the manifest says; "a a a" is heard in each."""
COUNTS = {"said": 12, "substitutions": 1, "deletions": 1, "insertions": 1}
"""Of words, in all of them."""


@dataclass(frozen=True)
class Place:
    """Builds and manifests of the same utterances."""

    folder: Path
    build: Path
    deaf: Path
    untrained: Path
    manifest: Path


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Not to be changed."""
    import soundfile
    from safetensors.numpy import save_file

    from mctc.driver import BuildOptions, build

    folder = tmp_path_factory.mktemp("score")
    (folder / "loud.mct").write_text(SPEC)
    # The mean of a frame's bins is -1.5 in silence and about -0.1 in the noise below.
    weight = np.repeat(np.array([[0.0], [1.0], [2.0]], np.float32) / 80, 80, axis=1)
    for name, bias in (("loud", (0, 1.2, 1.8)), ("deaf", (9, 1.2, 1.8))):
        tensors = {"encoder.head.weight": weight, "encoder.head.bias": np.array(bias, np.float32)}
        save_file(tensors, folder / f"{name}.safetensors")
        build(folder / "loud.mct", folder / name, BuildOptions(weights=folder / f"{name}.safetensors"))
    build(folder / "loud.mct", folder / "untrained", BuildOptions())
    (folder / "audio").mkdir()
    noise = np.random.default_rng(0).normal(0, 3e-3, 3 * RATE // 10)
    sound = np.concatenate([part for _ in range(3) for part in (0 * noise, noise, noise / 30)])
    ends = [{"word": "a", "end": 0.9 * number + 0.6} for number in range(3)]
    entries = []
    for name, text in TEXTS.items():
        soundfile.write(folder / "audio" / f"{name}.wav", sound, RATE)
        (folder / "audio" / f"{name}.txt").write_text(text + "\n")
        entries.append({"id": name, "audio_filepath": f"audio/{name}.wav", "text": text, "words": ends})
    (folder / "nemo.jsonl").write_text("".join(json.dumps(each) + "\n" for each in entries))
    names = ("loud", "deaf", "untrained", "nemo.jsonl")
    return Place(folder, *(folder / name for name in names))
