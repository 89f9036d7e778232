"""Layers against the ops that they hold, as modules among modules: names, starts, modes, checkpointing."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mctc.evaluate.reference import evaluate
from mctc.ir.ops.recurrent import Lstm
from mctc.ir.program import Function, Op
from mctc.ir.text import parse_program
from mctc.targets.torch.layer_table import LAYERS, layer_call, layer_of
from mctc.targets.torch.runtime import layers
from mctc.targets.torch.runtime.fake_quantize import Quantize, set_quantization
from mctc.targets.torch.runtime.initial import constant, zeros

X = "%x: f32[batch B, channel 8, unit 1, time T]"
F = "%x: f32[batch B, channel 8, feature 6, time T]"
TOKEN = "%x: i32[batch B, unit 1, unit 1, label U] < 100"
CASES = {
    "conv2d": (X, "w @m.weight: f32[16, 8, 1, 1]; b @m.bias: f32[16]", "conv2d(%x, %w, %b)", "Conv2d(8, 16)"),
    "causal": (
        *(X, "w @m.weight: f32[8, 1, 1, 4]; b @m.bias: f32[8]", "conv2d(%x, %w, %b, groups = 8, pad = [3, 0])"),
        "Conv2d(8, 8, (1, 4), groups=8, pad=(3, 0))",
    ),
    "strided": (
        *(F, "w @m.weight: f32[4, 8, 3, 3]", "conv2d(%x, %w, stride = [2, 2], pad = [1, 1], pad_feature = [1, 1])"),
        "Conv2d(8, 4, (3, 3), stride=(2, 2), bias=False, pad=(1, 1), pad_feature=(1, 1))",
    ),
    "dilated": (
        *(F, "w @m.weight: f32[4, 4, 2, 3]", "conv2d(%x, %w, dilation = [1, 2], groups = 2, pad = [1, 3])"),
        "Conv2d(8, 4, (2, 3), dilation=(1, 2), groups=2, bias=False, pad=(1, 3))",
    ),
    "linear": (X, "w @m.weight: f32[5, 8]; b @m.bias: f32[5]", "linear(%x, %w, %b)", "Linear(8, 5)"),
    "layer_norm": (X, "w @m.weight: f32[8]; b @m.bias: f32[8]", "layer_norm(%x, %w, %b)", "LayerNorm(8)"),
    "layer_norm without bias": (
        *(X, "w @m.weight: f32[8]", "layer_norm(%x, %w, none, epsilon = 0.001)"),
        "LayerNorm(8, eps=0.001, bias=False)",
    ),
    "rms_norm": (X, "w @m.weight: f32[8]", "rms_norm(%x, %w)", "RMSNorm(8)"),
    "batch_norm": (
        *(X, "m @m.running_mean: f32[8]; v @m.running_var: f32[8]; w @m.weight: f32[8]; b @m.bias: f32[8]"),
        *("batch_norm(%x, %m, %v, %w, %b)", "BatchNorm(8)"),
    ),
    "batch_norm without factors": (
        *(X, "m @m.running_mean: f32[8]; v @m.running_var: f32[8]", "batch_norm(%x, %m, %v)"),
        "BatchNorm(8, weight=False, bias=False)",
    ),
    "embedding": (TOKEN, "t @m.weight: f32[100, 6]", "embedding(%x, %t)", "Embedding(100, 6)"),
    "lstm": (
        *(X, "i @m.weight_ih: f32[12, 8]; h @m.weight_hh: f32[12, 3]; b @m.bias: f32[12]", "lstm(%x, %i, %h, %b)"),
        "LSTM(8, 3)",
    ),
    "gru": (
        *(X, "i @m.weight_ih: f32[9, 8]; h @m.weight_hh: f32[9, 3]; b @m.bias_hh: f32[9]", "gru(%x, %i, %h, none, %b)"),
        "GRU(8, 3, bias_ih=False)",
    ),
}
RESULTS = {"lstm": 3, "gru": 2}


def function_of(inputs: str, parameters: str, line: str) -> Function:
    count = RESULTS.get(line.partition("(")[0], 1)
    names = ", ".join(f"%{i}" for i in range(count))
    returned = ", ".join(f"r{i} = %{i}" for i in range(count))
    held = " ".join(
        f"%{name} = parameter {rest}" for name, rest in (each.split(" ", 1) for each in parameters.split("; ") if each)
    )
    return parse_program(f"function @f({inputs}) {{ {held} {names} = {line} return {returned} }}").functions["f"]


def made(function: Function) -> tuple[Op, nn.Module, str]:
    op = function.ops[-1]
    layer = layer_of(op)
    assert layer is not None
    text = layer.constructor(op)
    return op, eval(f"layers.{text}"), text


def called(op: Op, module: nn.Module, *operands: Tensor, valid: Tensor | None = None) -> Any:
    names = ["x", *(None for _ in op.operands[1:])]
    text = layer_call(op, op, "module", names, None if valid is None else "valid").text
    return eval(text, {"module": module, "x": operands[0], "valid": valid})


@pytest.mark.parametrize("name", CASES)
def test_a_layer_computes_what_its_op_does(name: str) -> None:
    inputs, parameters, line, constructor = CASES[name]
    function = function_of(inputs, parameters, line)
    op, module, text = made(function)
    assert text == constructor
    module = module.double().eval()
    for tensor in module.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape).abs() + 0.1)
    state = {f"m.{key}": value.numpy() for key, value in module.state_dict().items()}
    assert set(state) == {each.attributes["name"] for each in function.ops[:-1]}
    shape = function.inputs[0].type.substitute({"B": 2, "T": 8, "U": 5}).shape
    rng = np.random.default_rng(0)
    x = rng.integers(0, 100, shape) if name == "embedding" else rng.normal(size=shape)
    want, _ = evaluate(function, {"x": x}, state.__getitem__)
    got = called(op, module, torch.from_numpy(x))
    got = got if isinstance(got, tuple) else (got,)
    for mine, theirs in zip(got, want.values(), strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), theirs, rtol=1e-6, atol=1e-9)


def test_every_layer_is_tried() -> None:
    apart = {"fake_quantize"}  # off until quantisation begins: test_input_quantizer.py
    assert {line.partition("(")[0] for _, _, line, _ in CASES.values()} == {op.name for op in LAYERS} - apart


def test_a_step_passes_the_context_that_it_was_handed() -> None:
    inputs, parameters, line, _ = CASES["causal"]
    whole, module, _ = made(function_of(inputs, parameters, line))
    chunk = X.replace("batch B", "batch 1").replace("time T", "time 11")
    step = function_of(chunk, parameters, line.replace("pad = [3, 0]", "pad = [0, 0]")).ops[-1]
    assert layer_call(whole, step, "self.conv", ["x", None, None]).text == "self.conv(x, pad=(0, 0))"
    x = torch.randn(1, 8, 1, 11)
    torch.testing.assert_close(module(x, pad=(0, 0)), module(x)[..., 3:])


def test_states_go_by_name() -> None:
    function = parse_program(
        "function @f(%x: f32[batch 1, channel 8, unit 1, label 1]) {"
        " state %h: f32[batch 1, channel 3, unit 1, unit 1] state %c: f32[batch 1, channel 3, unit 1, unit 1]"
        " %i = parameter @m.weight_ih: f32[12, 8] %w = parameter @m.weight_hh: f32[12, 3]"
        " %0, %1, %2 = lstm(%x, %i, %w, none, %h, %c) next %h = %1 next %c = %2 return y = %0 }"
    ).functions["f"]
    op = function.ops[-1]
    assert layer_of(op) is LAYERS[Lstm]
    assert layer_call(op, op, "self.lstm", ["x", None, None, None, "h", "c"]).text == "self.lstm(x, h=h, c=c)"


@pytest.mark.parametrize(
    ("inputs", "parameters", "line"),
    [
        ("%x: f32[batch B, time T, channel 8]", "w @m.weight: f32[8]", "rms_norm(%x, %w)"),  # not laid out
        (X, "w @m.gamma: f32[8]", "rms_norm(%x, %w)"),  # a name of the author's own
        (f"{X}, %w: f32[8]", "", "rms_norm(%x, %w)"),  # a value
    ],
)
def test_an_op_whose_weights_are_not_a_layers_own_has_none(inputs: str, parameters: str, line: str) -> None:
    assert layer_of(function_of(inputs, parameters, line).ops[-1]) is None


LENGTHS = (9, 4, 6)
VALID = (torch.arange(9) < torch.tensor(LENGTHS)[:, None]).float()


def test_batch_norm_trains_as_torch_does() -> None:
    mine, theirs = layers.BatchNorm(8), nn.BatchNorm2d(8)
    for _ in range(3):
        x = torch.randn(3, 8, 1, 9)
        torch.testing.assert_close(mine(x), theirs(x))
    torch.testing.assert_close(mine.running_mean, theirs.running_mean)
    torch.testing.assert_close(mine.running_var, theirs.running_var)


@pytest.mark.parametrize("factors", [True, False])
def test_batch_norm_counts_no_padding(factors: bool) -> None:
    mine, theirs = layers.BatchNorm(8, weight=factors, bias=factors), nn.BatchNorm1d(8, affine=factors)
    x = torch.randn(3, 8, 1, 9, requires_grad=True)
    frames = torch.cat([x[i, :, 0, :n] for i, n in enumerate(LENGTHS)], 1).T
    got, want = mine(x, valid=VALID), theirs(frames)
    got = torch.cat([got[i, :, 0, :n] for i, n in enumerate(LENGTHS)], 1).T
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
    weight = torch.randn(want.shape)
    (a,), (b,) = (torch.autograd.grad((y * weight).sum(), x, retain_graph=True) for y in (got, want))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mine.running_mean, theirs.running_mean)
    torch.testing.assert_close(mine.running_var, theirs.running_var)


def test_batch_norm_at_rest_ignores_the_mask() -> None:
    layer = layers.BatchNorm(8).eval()
    x = torch.randn(3, 8, 1, 9)
    torch.testing.assert_close(layer(x, valid=VALID), layer(x))


class Pair(layers.Block):
    """Two repeated layers and a vector of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([layers.Conv2d(8, 8, (1, 3), pad=(2, 0)), layers.Conv2d(8, 8)])
        self.new_parameter("D", (8,), constant(0.5))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(self.run(layer, x))
        return x * self.stored("D")[:, None, None]


def test_names_are_the_specs() -> None:
    names = list(Pair().state_dict())
    assert names == ["D", "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]


def test_gradient_checkpointing_computes_twice_and_gives_the_same() -> None:
    model, x, runs = Pair(), torch.randn(2, 8, 1, 5), []
    model.layers[0].register_forward_pre_hook(lambda *_: runs.append(1))
    want = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    assert len(runs) == 1
    model.set_gradient_checkpointing(True)
    got = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    assert len(runs) == 3
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b)
    model.eval()(x)
    assert len(runs) == 4
    model.set_gradient_checkpointing(False)
    model.train()(x).sum().backward()
    assert len(runs) == 5


def test_parameters_are_drawn_anew_from_their_own_rules() -> None:
    model = Pair()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        model.get_parameter("D").zero_()
    model.reset_parameters()
    after = model.state_dict()
    assert torch.equal(after["D"], before["D"])
    assert not torch.equal(after["layers.0.weight"], before["layers.0.weight"])


def test_a_model_made_without_memory_is_drawn_where_it_is_wanted() -> None:
    with torch.device("meta"):
        model = Pair()
    assert model.get_parameter("D").is_meta
    model.to_empty(device="cpu").reset_parameters()
    assert (model.get_parameter("D") == 0.5).all()
    assert model(torch.randn(1, 8, 1, 5)).isfinite().all()


def test_a_layer_shows_its_shapes() -> None:
    assert repr(layers.GRU(8, 4, bias_ih=False)) == "GRU(weight_ih (12, 8), weight_hh (12, 4), bias_hh (12,))"
    conv = repr(layers.Conv2d(8, 8, (1, 4), groups=8, pad=(3, 0)))
    assert conv == "Conv2d(weight (8, 1, 1, 4), bias (8,), stride=(1, 1), pad=(3, 0), groups=8)"


def test_a_layer_starts_as_asked() -> None:
    layer = layers.Conv2d(4, 8, initial={"weight": zeros(), "bias": constant(2.0)})
    assert not layer.weight.any()
    assert (layer.bias == 2).all()
    statistics = layers.BatchNorm(4, initial={"running_var": constant(3.0)})
    assert (statistics.running_var == 3).all()


@pytest.mark.parametrize(
    ("layer", "bound"),
    [
        (layers.Conv2d(16, 64, (3, 3), groups=2), 1 / 72**0.5),
        (layers.Linear(100, 64), 0.1),
        (layers.LSTM(8, 64), 0.125),
        (layers.GRU(8, 64), 0.125),
    ],
)
def test_weights_start_within_torchs_bounds(layer: nn.Module, bound: float) -> None:
    for parameter in layer.parameters():
        assert 0.8 * bound < parameter.abs().max() <= bound


def test_a_quantised_layer_computes_with_the_weights_of_the_package() -> None:
    torch.manual_seed(0)
    layer = layers.LSTM(8, 4, quantize=Quantize("int4", 4))
    x = torch.randn(2, 8, 1, 5)
    plain = layer(x)[0]
    set_quantization(layer, "on")
    stored = layer.stored("weight_ih")
    assert not torch.equal(stored, layer.weight_ih)
    assert torch.equal(layer.stored("bias"), layer.bias)
    assert not torch.equal(layer(x)[0], plain)
    copy = layers.LSTM(8, 4)
    copy.load_state_dict({"weight_ih": stored, "weight_hh": layer.stored("weight_hh"), "bias": layer.bias})
    torch.testing.assert_close(copy(x)[0], layer(x)[0])
    assert list(layer.state_dict()) == ["weight_ih", "weight_hh", "bias"]


def test_each_weight_may_be_stored_in_its_own_way() -> None:
    layer = layers.GRU(8, 4, quantize={"weight_hh": Quantize("int8", 8)})
    set_quantization(layer, "on")
    assert torch.equal(layer.stored("weight_ih"), layer.weight_ih)
    assert not torch.equal(layer.stored("weight_hh"), layer.weight_hh)


def test_a_convolution_that_looks_ahead_sees_zeros_behind_an_utterance() -> None:
    layer = layers.Conv2d(8, 4, (1, 3), pad=(1, 1))
    x = torch.randn(3, 8, 1, 9)
    got = layer(x, valid=VALID)
    for i, n in enumerate(LENGTHS):
        torch.testing.assert_close(got[i, ..., :n], layer(x[i : i + 1, ..., :n])[0])


@pytest.mark.parametrize("valid", [None, VALID])
def test_statistics_count_a_recomputed_batch_once(valid: Tensor | None) -> None:
    class Net(layers.Block):
        def __init__(self) -> None:
            super().__init__()
            self.norm = layers.BatchNorm(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.run(self.norm, x) if valid is None else self.run(self.norm, x, valid)

    net, x = Net().train(), torch.randn(len(VALID), 3, 1, VALID.shape[1])
    again = copy.deepcopy(net)
    again.set_gradient_checkpointing(True)
    found = []
    for each in (net, again):
        given = x.clone().requires_grad_()
        each(given).square().sum().backward()
        assert given.grad is not None
        found.append((given.grad, each.norm.running_mean, each.norm.running_var))
    for wanted, got in zip(*found, strict=True):
        torch.testing.assert_close(got, wanted)


NORMS = """
import sys, torch, torch.distributed as dist
from mctc.targets.torch.runtime import layers
dist.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=int(sys.argv[2]), world_size=2)
torch.manual_seed(0)
x, valid = torch.randn(4, 3, 1, 9), (torch.arange(9) < torch.tensor([9, 4, 7, 1])[:, None]).float()
mine, alone = layers.BatchNorm(3), layers.BatchNorm(3)
mine.set_synchronised_norms(True)
rank = slice(2 * dist.get_rank(), 2 * dist.get_rank() + 2)
for marks in (valid, None):
    whole, part = x.clone().requires_grad_(), x[rank].clone().requires_grad_()
    want = alone(whole, marks)
    got = mine(part, None if marks is None else marks[rank])
    torch.testing.assert_close(got, want[rank])
    (want ** 3).sum().backward()
    (got ** 3).sum().backward()
    torch.testing.assert_close(part.grad, whole.grad[rank], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mine.running_var, alone.running_var)
    torch.testing.assert_close(mine.running_mean, alone.running_mean)
"""


@pytest.mark.slow
def test_norms_of_two_processes_are_those_of_one_with_both_batches(tmp_path: Path) -> None:
    command = [sys.executable, "-c", NORMS, str(tmp_path / "meets")]
    workers = [subprocess.Popen([*command, rank], stderr=subprocess.PIPE, text=True) for rank in "01"]
    said = [worker.communicate(timeout=300)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
