"""What Core ML places on the engine every day, and checkers that rest on private paths call a fallback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.placement import Eligible
from mctc.linter.coreml.rule import Severity
from mctc.linter.coreml.table import Table
from mctc.package import Package, read_package

Body = Callable[[Any, Any], list[Any]]
GELU = ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION")


def concats(mb: Any, x: Any) -> list[Any]:
    y = mb.relu(x=x)
    return [mb.concat(values=[x, y], axis=axis) for axis in range(-4, 4)]


def interleaved(mb: Any, x: Any) -> list[Any]:
    return [mb.concat(values=[x, mb.relu(x=x)], axis=1, interleave=True)]


def gelus(mb: Any, x: Any) -> list[Any]:
    return [mb.gelu(x=x, mode=mode) for mode in GELU]


def tiles(mb: Any, x: Any) -> list[Any]:
    return [mb.tile(x=x, reps=[1, 1, 2, 1]), mb.tile(x=x, reps=[5, 1, 1, 3])]


def pools(mb: Any, x: Any) -> list[Any]:
    same = [mb.max_pool(x=x, kernel_sizes=[size] * 2, strides=[2, 2], pad_type="same") for size in (2, 3)]
    mean = mb.avg_pool(x=x, kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid", exclude_padding_from_average=True)
    return [*same, mean]


def norms(mb: Any, x: Any) -> list[Any]:
    ones, zeros = np.ones(16, np.float16), np.zeros(16, np.float16)
    return [mb.batch_norm(x=x, mean=zeros, variance=ones, gamma=ones, beta=zeros), mb.layer_norm(x=x, axes=[-1])]


def softmaxes(mb: Any, x: Any) -> list[Any]:
    return [mb.softmax(x=x, axis=axis) for axis in range(-4, 4)]


def linears(mb: Any, x: Any) -> list[Any]:
    y = mb.linear(x=x, weight=np.ones((32, 8), np.float16), bias=np.zeros(32, np.float16))
    return [y, mb.matmul(x=x, y=x, transpose_y=True)]


def attention(mb: Any, x: Any) -> list[Any]:
    mask = np.zeros((1, 1, 8, 8), np.float16)
    return [mb.scaled_dot_product_attention(query=x, key=x, value=x, attn_mask=mask)]


def convolutions(mb: Any, x: Any) -> list[Any]:
    sizes = [(1, 1), (3, 3), (7, 7), (1, 9), (11, 1)]
    return [mb.conv(x=x, weight=np.ones((8, 16, *size), np.float16), pad_type="same") for size in sizes]


BODIES = (
    ("concat", concats), ("concat", interleaved), ("gelu", gelus), ("tile", tiles), ("max_pool", pools),
    ("batch_norm", norms), ("softmax", softmaxes), ("linear", linears), ("scaled_dot_product_attention", attention),
    ("conv", convolutions),
)  # fmt: skip


@pytest.fixture(scope="module")
def made(coremltools: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Body], Package]:
    """The package that coremltools makes of a function of the MIL builder with its own passes, each once."""
    from coremltools.converters.mil import Builder as mb

    known: dict[Body, Package] = {}

    def run(body: Body) -> Package:
        if body not in known:
            target = coremltools.target.iOS18

            @mb.program(input_specs=[mb.TensorSpec((1, 16, 8, 8))], opset_version=target)
            def program(x: Any) -> Any:
                return tuple(mb.identity(x=each, name=f"y{place}") for place, each in enumerate(body(mb, x)))

            model = coremltools.convert(program, minimum_deployment_target=target, skip_model_load=True)
            path = tmp_path_factory.mktemp("made") / "made.mlpackage"
            model.save(str(path))
            known[body] = read_package(path)
        return known[body]

    return run


@pytest.mark.quick(*(f"{device}-{body}" for device in ("m1", "m4") for body in ("attention", "convolutions", "norms")))
@pytest.mark.parametrize(("kind", "body"), BODIES, ids=[body.__name__ for _, body in BODIES])
@pytest.mark.parametrize("device", ["m1", "m4"])
def test_ordinary_ops_of_coremltools_are_no_errors(
    device: str, kind: str, body: Body, made: Callable[[Body], Package], rules: Table
) -> None:
    report = check_package(made(body), rules.rules.values(), device=device)
    assert [each.message for each in report.findings if each.severity is Severity.ERROR] == []
    ops = report.functions[0].ops
    assert kind in {op.type for op in ops}
    assert all(op.eligible is not Eligible.NO for op in ops)
