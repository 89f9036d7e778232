"""rnnt_loss.metal, launched as on a Mac and run by the engine, against definitions in fp64."""

from __future__ import annotations

import pytest
import torch

from mctc.targets.torch.runtime import rnnt_loss_gpu

from .conftest import needs_engine
from .transducer import (
    LATTICES,
    VOCABULARIES,
    collapse_check,
    collapse_gradient_check,
    gradient_check,
    loss_check,
)

pytestmark = [needs_engine, pytest.mark.usefixtures("mps")]


@pytest.mark.parametrize("name", LATTICES)
def test_the_loss_and_its_gradient_are_those_of_the_definition(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "more columns than a threadgroup":
        monkeypatch.setattr(rnnt_loss_gpu, "WIDTH", 32)
    assert loss_check(name)() < 1
    assert gradient_check(name)() < 1


def test_a_wrong_length_shows_in_the_loss() -> None:
    blank, label = -torch.rand(2, 4, 4), -torch.rand(2, 4, 3)
    lengths = torch.tensor([5, 4], dtype=torch.int32), torch.tensor([3, 3], dtype=torch.int32)
    loss, _ = rnnt_loss_gpu.forward(blank, label, *lengths)
    assert loss.isnan().tolist() == [True, False]


@pytest.mark.parametrize("name", VOCABULARIES)
def test_the_collapsed_vocabulary_is_that_of_the_log_softmax(name: str) -> None:
    assert collapse_check(name)() < 1
    assert collapse_gradient_check(name)() < 1


@pytest.mark.usefixtures("inexact")
def test_the_errors_that_metal_allows_do_not_grow() -> None:
    for check in (loss_check, gradient_check):
        assert check("more columns than a SIMD group")() < 1
    for check in (collapse_check, collapse_gradient_check):
        assert check("300 classes, vocabulary innermost, float32")() < 1
