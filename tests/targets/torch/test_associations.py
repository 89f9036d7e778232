"""Matrices of keys and values without a loop over frames: values and gradients, and which scans become that."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mctc.targets.torch.runtime.associations import associations

from .made import make_spec

B, P, N = 2, 3, 4
MODEL = """import "lib/linear_attention.mct"

model m(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, width]) -> f32[B, T, width] {
        BODY
    }
    stream { chunk = 40 ms }
}
"""
OTHERWISE = """k = split_channels(x, groups = 1)
        scan s: f32[B, T, width, width] { s = 0.5 * s + k * x }
        return merge_channels(reduce_max(s, "feature"))"""
BLOCKS = {
    "gated linear attention": "gated_linear_attention(x, heads = 2, keys = 4, rank = 2)",
    "delta rule": "delta_net(x, heads = 2, kernel = 2)",
    "gated delta rule": "delta_net(x, heads = 2, kernel = 2, gated = true)",
}


def frame_by_frame(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    log_decay: Tensor | None,
    into: Tensor | None,
    of: Tensor | None,
    h: Tensor,
) -> tuple[Tensor, Tensor]:
    state, outputs = h[..., 0], []
    for t in range(query.shape[3]):
        new = state if log_decay is None else state * log_decay[..., t].exp()
        new = new + value[..., t] * key[..., t]
        if into is not None and of is not None:
            new = new + (state * of[..., t]).sum(2, keepdim=True) * into[..., t]
        state = new
        outputs.append((state * query[..., t]).sum(2))
    return torch.stack(outputs, -1).unsqueeze(2), state.unsqueeze(3)


@pytest.mark.parametrize("decay", ["none", "one", "of each entry of a key"])
@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("frames", [1, 7, 70])
def test_it_is_the_recurrence_with_its_gradients(decay: str, corrected: bool, frames: int) -> None:
    draw = torch.Generator().manual_seed(frames)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    query, key = random(B, 1, N, frames), F.normalize(random(B, 1, N, frames), dim=2)
    given: list[Tensor | None] = [query, key, random(B, P, 1, frames), None, None, None, random(B, P, N, 1)]
    if decay != "none":
        given[3] = -F.softplus(random(B, 1, 1 if decay == "one" else N, frames))
    if corrected:
        given[4], given[5] = -key * torch.rand(B, 1, 1, frames, generator=draw), key * 0.9
    leaves = [each.requires_grad_() for each in given if each is not None]
    found, wanted = associations(*given), frame_by_frame(*given)  # type: ignore[arg-type]
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
    weights = [random(*each.shape) for each in wanted]
    gradients = [torch.autograd.grad(each, leaves, weights) for each in (found, wanted)]
    torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-8)


def test_under_autocast_sums_are_exact_and_results_narrow() -> None:
    given = [torch.randn(B, 1, N, 9), F.normalize(torch.randn(B, 1, N, 9), dim=2), torch.randn(B, P, 1, 9)]
    narrow = [each.bfloat16() for each in given]
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = associations(*narrow, into=-narrow[1], of=narrow[1])
    wanted, _ = associations(*(each.float() for each in narrow), into=-narrow[1].float(), of=narrow[1].float())
    assert y.dtype is torch.bfloat16
    torch.testing.assert_close(y.float(), wanted, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_of_the_library_have_no_loop_over_frames(block: str, tmp_path: Path) -> None:
    (tmp_path / "m.mct").write_text(MODEL.replace("BODY", f"return {BLOCKS[block]}"))
    made = make_spec(tmp_path / "m.mct", tmp_path)
    written = "".join(path.read_text() for path in tmp_path.rglob("m*.py"))
    assert "associations(" in written
    assert "for t in" not in written
    given = made.inputs("c", B=2, T=21)["x"]
    result = made.model.c(torch.tensor(given, dtype=torch.float32))
    torch.testing.assert_close(
        result.detach().double(), torch.tensor(made.reference("c", {"x": given})[0]), rtol=0, atol=2e-5
    )


def test_a_matrix_that_is_read_otherwise_has_its_loop(tmp_path: Path) -> None:
    (tmp_path / "m.mct").write_text(MODEL.replace("BODY", OTHERWISE))
    make_spec(tmp_path / "m.mct", tmp_path)
    assert "for t in" in "".join(path.read_text() for path in tmp_path.rglob("m*.py"))
