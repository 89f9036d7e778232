"""The loss of an emitted module over a batch, with padding and without: the same, or a finding."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("hypothesis")
pytest.importorskip("torch")

from bench.fuzz import training
from bench.fuzz.findings import FindingError
from bench.fuzz.pipeline import run_text
from mctc.driver.options import BuildOptions

SPEC = """
model small(vocab = 5) {
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = vocab + 1
    component encoder(mel: f32[B, T, 4], level: f32[B, T, 1] in [0.5, 1]) -> f32[B, T, V] {
        x = linear(conv1d(mel, 4, 3, look_ahead = 1), 4) as inner
        return linear(level * x, V) as head
    }
    train { objective = ctc() + 0.1 * ctc(of = "encoder.inner", classes = 7, targets = phones) }
    stream { chunk = 4 frames }
}
"""


def error() -> float:
    return run_text(SPEC, BuildOptions(), runtimes=["torch"]).errors[training.STAGE]


def test_padding_does_not_count() -> None:
    assert error() <= 1e-6


def test_a_loss_in_which_padding_counts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Engine(training.TorchEngine):  # type: ignore[misc, unused-ignore]
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            forward = type(self.model).forward
            spoilt = lambda self, mel, *more: forward(self, mel, *more) + 0.01 * mel.shape[1]  # noqa: E731
            spoilt.__doc__, spoilt.__wrapped__ = forward.__doc__, forward  # type: ignore[attr-defined]
            type(self.model).forward = spoilt

    monkeypatch.setattr(training, "TorchEngine", Engine)
    with pytest.raises(FindingError, match="with more padding"):
        error()
