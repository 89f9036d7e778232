"""Fake quantisation in graphs: compiled, exported, under autocast, as a custom op."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mctc.targets.torch.runtime import fake_quantize
from mctc.targets.torch.runtime.fake_quantize import (
    Quantize,
    quantization_report,
    set_quantization,
)

from .fake_quantize_cases import INT4, INT8, SCHEMES, Layer, assert_is_the_packages, assert_measured, quantizer, weight


@pytest.mark.quick("how0-on", "how1-observe", "how2-off")
@pytest.mark.parametrize("mode", fake_quantize.MODES)
@pytest.mark.parametrize("how", SCHEMES)
def test_it_compiles_whole_to_the_same_numbers(how: Quantize, mode: str) -> None:
    torch.compiler.reset()
    model, x = Layer(how), torch.randn(2, 8, 1, 5)
    set_quantization(model, mode)
    model(x).square().sum().backward()
    assert model.weight.grad is not None
    expected, gradient = model(x), model.weight.grad.clone()
    model.weight.grad = None
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(x), expected)
    compiled(x).square().sum().backward()
    assert torch.equal(model.weight.grad, gradient)
    if mode == "observe":
        (row,) = quantization_report(model)
        assert_measured(row, model.weight.detach())


def test_compiled_layers_of_one_class_share_their_code() -> None:
    torch.compiler.reset()
    compiled: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> torch.fx.GraphModule:
        compiled.append(graph)
        return graph

    model = nn.Sequential(*(Layer(INT8, 8, 8) for _ in range(4)))
    set_quantization(model, "on")
    expected = model(torch.ones(1, 8, 1, 3))
    for layer in model:
        layer.compile(backend=backend)
    assert torch.equal(model(torch.ones(1, 8, 1, 3)), expected)
    assert len(compiled) <= 2  # the first layer's input needs no gradient


@pytest.mark.parametrize(
    ("shape", "how"),
    [
        ((16, 8), INT8),
        ((16,), INT4),
        ((16, 8), Quantize("int8", 8, axis=1)),
        ((16, 8, 3), Quantize("palette", 2, 4)),
        ((6, 8), Quantize("palette", 4, 2, axis=1)),
    ],
)
def test_the_op_keeps_the_rules_of_custom_ops(shape: tuple[int, ...], how: Quantize) -> None:
    values = weight(*shape[::-1]).permute(*reversed(range(len(shape)))).requires_grad_()
    arguments = (values, how.scheme, how.bits, how.group, how.axis)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    results = torch.library.opcheck(torch.ops.mctc.fake_quantize.default, arguments, test_utils=tests)
    assert set(results.values()) == {"SUCCESS"}


def test_it_exports_as_one_op() -> None:
    model = Layer(INT8)
    set_quantization(model, "on")
    program = torch.export.export(model, (torch.randn(1, 8, 1, 3),))
    assert torch.ops.mctc.fake_quantize.default in [node.target for node in program.graph.nodes]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("how", SCHEMES)
def test_autocast_changes_nothing_about_the_weight(how: Quantize, dtype: torch.dtype) -> None:
    values = weight(16, 24)
    with torch.autocast("cpu", dtype):
        assert_is_the_packages(values, how)
        measured = quantizer(how, "observe")
        measured(values)
    assert_measured(quantization_report(measured)[0], values)
