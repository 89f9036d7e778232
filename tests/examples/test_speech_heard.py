"""examples/speech: the search over a batch finds what the searches of mctc.decode find."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mctc.decode import Settings, Vocabulary, transducer_search
from mctc.decode.ctc_greedy import CtcGreedy
from mctc.driver import BuildOptions, build
from speech.heard import greedy
from tests.conftest import ROOT


class Engine:
    """Predictor and joiner of an emitted model, as mctc.decode asks for them."""

    frames = 4

    def __init__(self, model: Any) -> None:
        self.model = model

    def start(self) -> Any:
        return self.model.predictor.initial_state(1)

    def predict(self, labels: Sequence[int], states: Sequence[Any]) -> tuple[Any, list[Any]]:
        steps = [self.model.predictor.step(torch.tensor([[[[each]]]]), state) for each, state in zip(labels, states)]
        return np.stack([each.flatten().numpy() for each, _ in steps]), [state for _, state in steps]

    def join(self, encoded: Any, predicted: Any) -> Any:
        frames = torch.from_numpy(encoded).T[None, :, None]
        vectors = torch.from_numpy(predicted)[:, :, None, None]
        return self.model.joiner(frames, vectors)[:, :31, 0].transpose(1, 2).numpy()


@pytest.fixture(scope="module")
def transducer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("heard") / "heard_model"
    build(
        ROOT / "spec/mct_tiny.mct", folder, BuildOptions(defines={"width": 16, "depth": 1, "vocab": 30}, target="torch")
    )
    (folder / "training").rename(folder / "heard_training")
    sys.path.insert(0, str(folder))
    try:
        torch.manual_seed(1)
        return import_module("heard_training").MctTiny().eval()
    finally:
        sys.path.remove(str(folder))


@torch.no_grad()
def test_a_transducer_says_in_a_batch_what_it_says_alone(transducer: Any) -> None:
    with torch.no_grad():
        transducer.joiner.out.bias[0] += 0.2  # between blanks and labels, so that both occur
    mel, lengths = 2 * torch.randn(3, 60, 80), torch.tensor([60, 37, 8])
    heard = greedy(transducer, mel, lengths)
    for row, length, labels in zip(mel, lengths, heard):
        search = transducer_search(Engine(transducer), Vocabulary.first(31), Settings())
        encoded = transducer.encoder(row[None, :length].transpose(1, 2)[:, :, None])
        search.accept(encoded[0, :, 0].T.numpy())
        assert list(search.finish()[0].ids) == labels
    assert 5 < sum(map(len, heard)) < 5 * 27


class Ctc(nn.Module):
    """Features as logits."""

    class Encoder(nn.Module):
        def forward(self, mel: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            return mel

        def output_lengths(self, lengths: torch.Tensor) -> torch.Tensor:
            return lengths

    def __init__(self) -> None:
        super().__init__()
        self.encoder = self.Encoder()


def test_ctc_says_in_a_batch_what_it_says_alone() -> None:
    torch.manual_seed(0)
    logits, lengths = torch.randn(3, 40, 5), torch.tensor([40, 21, 0])
    logits[:, :, 0] += 0.5
    for row, length, labels in zip(logits, lengths, greedy(Ctc(), logits, lengths)):
        search = CtcGreedy(Vocabulary.first(5), Settings())
        search.accept(row[:length].numpy())
        assert list(search.finish()[0].ids) == labels
