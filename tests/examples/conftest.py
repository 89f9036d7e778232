"""A run of examples/speech that nothing stopped, which others are held against."""

from __future__ import annotations

import json
import re
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mctc.audio import bundled_recording, bundled_text, load_audio
from mctc.driver import BuildOptions, build
from speech.train import main
from tests.conftest import ROOT

DEFINES = {"width": 16, "depth": 1, "vocab": 28}
LOG = "log.jsonl"
CONF = """
[model]
training = "{place}/learner/training"
[data]
train = ["{place}/train.jsonl"]
dev = ["{place}/dev.jsonl"]
tokens = "{place}/letters.txt"
[batch]
seconds = 5
longest = 4
accumulate = 2
buckets = 2
[optimizer]
warm_up = 1
[quantize]
from_step = 3
[train]
run = "{place}/whole"
device = "cpu"
steps = 4
log_every = 1
save_every = 1
dev_every = 2
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model to train, pieces of a recording with letters as tokens, and a run of four steps that nothing stopped. All
    that trains has one thread, as torchrun's processes have: sums over parts of other sizes are rounded elsewhere, and
    from the first step on, the fifth digit of the gradient's norm would be another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("speech")
    build(ROOT / "spec/mct_tiny.mct", place / "learner", BuildOptions(defines=DEFINES, target="torch"))
    samples = np.rint(load_audio(bundled_recording()) * 32767).astype("<i2")
    with wave.open(str(place / "all.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    texts = [re.sub("[^a-z ]", "", line.lower()) for line in bundled_text().splitlines()]
    entries = [
        {"id": str(at), "audio_filepath": "all.wav", "offset": 3.5 * (at % 3), "duration": 2 + at / 10, "text": text}
        for at, text in enumerate(texts * 4)
    ]
    for name, chosen in (("train", entries), ("dev", entries[:3])):
        (place / f"{name}.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in chosen))
    (place / "letters.txt").write_text("\n".join("\N{LOWER ONE EIGHTH BLOCK}'abcdefghijklmnopqrstuvwxyz"))
    (place / "conf.toml").write_text(CONF.format(place=place))
    assert main([str(place / "conf.toml")]) == 0
    yield place
    torch.set_num_threads(before)


def curve(run: Path) -> list[dict[str, Any]]:
    """The log without its times."""
    lines = [json.loads(line) for line in (run / LOG).read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.endswith("_per_s")} for line in lines]
