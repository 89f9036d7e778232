"""The same utterance alone, in a padded batch and beside other streams: the same numbers, whatever its length."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.reduced import SIZES

from .made import Made, beside, listed, make_spec

LOSSES = ["conformer_ctc", "mct_tiny"] + [
    pytest.param(name, marks=pytest.mark.slow)
    for name in ("conformer_s2s", "conformer_streaming", "conmamba_ctc", "mct2_small", "parakeet_ctc", "rnnt_lstm")
]
ALIKE = {"mct_base", "mct_large", "mct_small", "whisper_small"}  # at these sizes mct_tiny and whisper_tiny
SPECS = sorted(SIZES.keys() - ALIKE)
RISES = {"emformer", "zipformer"}  # rates go up again, so that they give the frames of whole strides
BOUND = 2e-6
GARBAGE = 7e3  # what pads a batch


@pytest.fixture(scope="module")
def of(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """The modules of a spec, emitted once."""
    return cache(lambda name: make_spec(root / "spec" / f"{name}.mct", tmp_path_factory.mktemp(name), **SIZES[name]))


def encoder(made: Made) -> tuple[Any, Any]:
    """The first component, and its function over whole utterances."""
    name, function = next(iter(made.whole.functions.items()))
    return getattr(made.model, name), function


def heard(function: Any, rows: int, frames: int) -> Tensor:
    sizes = [axis.extent.value for axis in function.inputs[0].type.axes[1:-1]]
    return torch.randn(rows, *sizes, frames, generator=torch.Generator().manual_seed(0))


def padded(x: Tensor, lengths: list[int]) -> Tensor:
    out = torch.full_like(x, GARBAGE)
    for row, length in enumerate(lengths):
        out[row, ..., :length] = x[row, ..., :length]
    return out


def difference(a: Tensor, b: Tensor) -> float:
    """The largest, of the largest magnitude; padding classes (-10000) apart."""
    assert a.shape == b.shape
    real = b > -5000
    return float(((a - b).abs() * real).max() / b[real].abs().max().clamp_min(torch.finfo(b.dtype).tiny))


@pytest.mark.parametrize("spec", SPECS)
def test_an_utterance_alone_is_its_row_of_a_padded_batch(of: Callable[[str], Made], spec: str) -> None:
    made = of(spec)
    component, function = encoder(made)
    ups = function.results[0][1].type.axes[-1].extent == function.inputs[0].type.axes[-1].extent
    lengths = [*range(1, 10), 19, 32, 0]  # every residue of a stride of 8
    x = heard(function, len(lengths), 32)
    x[4] = 0  # digital silence
    with torch.no_grad():
        together = listed(component(padded(x, lengths), *beside(function, 32), torch.tensor(lengths)))
        of_time = hasattr(component, "output_lengths")  # an embedding of the whole utterance has no frames
        frames = component.output_lengths(torch.tensor(lengths)) if of_time else torch.tensor([1] * 11 + [0])
        for row, length in enumerate(lengths[:-1]):
            alone = listed(component(x[row : row + 1, ..., :length], *beside(function, length)))
            for both, one in zip(together, alone, strict=True):
                if not ups and spec not in RISES:
                    assert one.shape[-1] == frames[row]  # the frames of whole strides, where the rate goes up again
                mine, theirs = one[..., : frames[row]], both[row : row + 1, ..., : frames[row]]
                assert difference(mine, theirs) <= BOUND, length
    assert all(each.isfinite().all() for each in together)
    assert frames[-1] == 0


@pytest.mark.parametrize("spec", LOSSES)
def test_the_loss_of_a_padded_batch_is_the_mean_of_its_utterances(of: Callable[[str], Made], spec: str) -> None:
    made = of(spec)
    model = copy.deepcopy(made.model)
    _, function = encoder(made)
    counts = [3, 3, 3] if "decoder" in made.whole.functions else [3, 1, 2]  # a decoder's mean is over labels
    lengths, targets = torch.tensor([64, 41, 38]), torch.tensor([[5, 6, 7]] * 3)
    mel = padded(heard(function, 3, 64), lengths.tolist())[:, :, 0].mT
    width = [v.type.extents[1].value for f in made.whole.functions.values() for v in f.inputs if v.name == "position"]
    places = [torch.randn(1, 4, each).expand(3, -1, -1) for each in width[:1]]
    masks = [each.reshape(1, -1).expand(3, -1) for each in beside(function, 64)]
    loss = model(mel, lengths, targets, torch.tensor(counts), *places, *masks)
    loss.backward()
    together = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    apart = []
    for row, (length, count) in enumerate(zip(lengths.tolist(), counts, strict=True)):
        labels, mine = targets[row : row + 1, :count], [each[:1, : count + 1] for each in places]
        mine += [each[:1, :length] for each in masks]
        one = model(mel[row : row + 1, :length], lengths[row : row + 1], labels, torch.tensor([count]), *mine)
        (one / 3).backward()
        apart.append(one.detach())
    torch.testing.assert_close(loss.detach(), torch.stack(apart).mean(), rtol=BOUND, atol=0)
    for name, parameter in model.named_parameters():
        if name in together:
            scale = float(together[name].abs().max()) + 1e-3
            assert float((parameter.grad - together[name]).abs().max()) <= 1e-4 * scale, name


@pytest.mark.parametrize("spec", ["conformer_ctc", "mct_tiny", pytest.param("conformer_s2s", marks=pytest.mark.slow)])
def test_a_model_reads_no_label_behind_the_last_and_names_one_that_is_none(
    of: Callable[[str], Made], spec: str
) -> None:
    made = of(spec)
    _, function = encoder(made)
    mel, lengths = heard(function, 2, 64)[:, :, 0].mT, torch.tensor([64, 41])
    width = [v.type.extents[1].value for f in made.whole.functions.values() for v in f.inputs if v.name == "position"]
    more = [torch.zeros(2, 4, each) for each in width[:1]]
    given = torch.tensor([[5, 6, 7], [5, -1, 999]])
    with torch.no_grad():
        loss = made.model(mel, lengths, given, torch.tensor([3, 1]), *more)
        same = made.model(mel, lengths, given.clamp(0, 8), torch.tensor([3, 1]), *more)
        assert torch.equal(loss, same)
        with pytest.raises(ValueError, match=r"targets\[1, 1\] is -1; within label_lengths it must be one of the \d+ "):
            made.model(mel, lengths, given, torch.tensor([3, 2]), *more)
