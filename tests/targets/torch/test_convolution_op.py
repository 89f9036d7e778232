"""Convolution in compiled graphs: an op of its own where a CPU trains, torch's everywhere else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mctc.targets.torch.runtime.convolution_op import conv2d, pointwise
from mctc.targets.torch.runtime.layers import Conv2d

HOW = ((2, 1), (1, 0), (1, 2), 2)


def operands(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 6, 9, generator=generator, dtype=dtype, requires_grad=True)
    return x, torch.randn(6, 2, 3, 3, generator=generator, dtype=dtype, requires_grad=True)


def test_the_op_is_torchs_convolution_with_its_gradient() -> None:
    x, weight = operands()
    assert torch.equal(torch.ops.mctc.conv2d(x, weight, *HOW), F.conv2d(x, weight, None, *HOW))
    assert torch.autograd.gradcheck(lambda *given: torch.ops.mctc.conv2d(*given, *HOW), (x, weight))


@pytest.mark.parametrize("test", ["test_schema", "test_faketensor", "test_autograd_registration"])
def test_the_op_keeps_torchs_rules(test: str) -> None:
    torch.library.opcheck(torch.ops.mctc.conv2d.default, (*operands(), *HOW), test_utils=test)


@pytest.mark.parametrize(("trains", "dtype"), [(True, None), (False, None), (True, torch.bfloat16)])
def test_only_a_graph_that_trains_on_a_cpu_has_the_op(trains: bool, dtype: torch.dtype | None) -> None:
    torch.compiler.reset()
    x, weight = operands(torch.float32)
    bias, seen = torch.ones(6), []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Any:
        seen.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    compiled = torch.compile(lambda x: conv2d(x, weight, bias, *HOW), backend=backend)
    with torch.set_grad_enabled(trains), torch.autocast("cpu", dtype, enabled=dtype is not None):
        found, wanted = compiled(x), F.conv2d(x, weight, bias, *HOW)
    assert any("mctc.conv2d" in target for target in seen) == trains
    assert found.dtype == wanted.dtype
    rounding = 0 if dtype is None else 2**-7  # the bias is added behind a rounding of its own
    torch.testing.assert_close(found, wanted, rtol=1e-5 + rounding, atol=1e-5 + rounding)


@pytest.mark.slow
def test_strided_convolutions_behind_a_transposed_view_compile_for_varying_lengths() -> None:
    torch.compiler.reset()
    torch.manual_seed(0)
    pads = {"pad": (1, 1), "pad_feature": (1, 1)}
    layers = nn.Sequential(Conv2d(1, 6, (3, 3), stride=(2, 2), **pads), Conv2d(6, 4, (3, 3), stride=(2, 2), **pads))

    def model(x: Tensor) -> Tensor:
        return layers(F.pad(x, (0, -x.shape[-1] % 4)).transpose(1, 2))

    compiled = torch.compile(model)
    for frames in (32, 64, 48, 41):
        x, gradients = torch.randn(2, 8, 1, frames), []
        for each in (compiled, model):
            layers.zero_grad(set_to_none=True)
            each(x).square().mean().backward()
            gradients.append([p.grad for p in layers.parameters()])
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("bias", [True, False])
def test_the_matrix_product_of_a_gpu_is_the_1x1_convolution_with_its_gradient(bias: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, 5, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(7, 4, 1, 1, generator=generator, dtype=torch.float64, requires_grad=True)
    given = (x, weight, torch.ones(7, dtype=torch.float64, requires_grad=True) if bias else None)
    torch.testing.assert_close(pointwise(*given), F.conv2d(*given))
    assert torch.autograd.gradcheck(pointwise, given)
