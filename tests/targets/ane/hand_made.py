"""Deployed programs made by hand: what the deploy passes hand to the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.location import Location, Origin
from mctc.ir.program import Function, Initializer, Parameter, Program, Quantization, Source, State, Value
from mctc.ir.types import Axis, DType, Role, TensorType, plain


def laid_out(channels: int, frames: int, middle: int = 1, sequence: Role = Role.TIME) -> TensorType:
    """f32 (batch 1, channel, unit or feature, time)."""
    axes = (
        Axis(Role.BATCH, Extent.of(1)),
        Axis(Role.CHANNEL, Extent.of(channels)),
        Axis(Role.UNIT if middle == 1 else Role.FEATURE, Extent.of(middle)),
        Axis(sequence, Extent.of(frames)),
    )
    return TensorType(DType.F32, axes)


def add_parameter(program: Program, name: str, *shape: int, quantization: Quantization | None = None) -> None:
    """A parameter with normal initial values."""
    type_ = plain(DType.F32, *shape)
    program.sources[name] = (type_, Initializer("normal", (("std", 0.3),)))
    program.parameters[name] = Parameter(name, type_, Source(name, type_), quantization)


def finish(
    builder: Builder, name: str, inputs: list[Value], results: list[tuple[str, Value]], states: list[State]
) -> None:
    builder.program.functions[name] = Function(name, inputs, builder.ops, results, states)


def streaming_program(depth: int = 2, quantizations: Mapping[str, Quantization] | None = None) -> Program:
    """An encoder with a convolution state for each of `depth` blocks, and a joiner that shares its last projection."""
    program = Program("tiny")
    how = quantizations or {}
    for i in range(depth):
        add_parameter(program, f"encoder.layers.{i}.conv.weight", 16, 1, 1, 4)
        add_parameter(program, f"encoder.layers.{i}.norm.weight", 16)
        add_parameter(program, f"encoder.layers.{i}.norm.bias", 16)
        name = f"encoder.layers.{i}.proj.weight"
        add_parameter(program, name, 16, 16, 1, 1, quantization=how.get(name))
    add_parameter(program, "out.weight", 16, 16, 1, 1, quantization=how.get("out.weight"))
    add_parameter(program, "out.bias", 16)
    _encoder(program, depth)
    _joiner(program)
    return program


def _encoder(program: Program, depth: int) -> None:
    b = Builder(program)
    x = mel = Value(laid_out(16, 8), "mel")
    states = []
    for i in range(depth):
        b.origin = Origin(Location("tiny.mct", 3 + i, 5), f"encoder.layers.{i}")
        p = f"encoder.layers.{i}"
        state = Value(laid_out(16, 3), f"layers.{i}.window")
        y = b.op("layer_norm", x, b.parameter(f"{p}.norm.weight"), b.parameter(f"{p}.norm.bias"))
        y = b.op("silu", b.op("conv2d", y, b.parameter(f"{p}.proj.weight")))
        window = b.op("concat", state, y, axis="time")
        update = b.op("slice", window, axis="time", begin=8)
        x = b.op("add", x, b.op("conv2d", window, b.parameter(f"{p}.conv.weight"), groups=16))
        states.append(State(f"layers.{i}.window", state, update))
    b.origin = Origin(None, "encoder.out")
    y = b.op("conv2d", x, b.parameter("out.weight"), b.parameter("out.bias"))
    finish(b, "encoder", [mel], [("encoded", y)], states)


def _joiner(program: Program) -> None:
    b = Builder(program, Origin(None, "joiner"))
    enc, pred = Value(laid_out(16, 8), "enc"), Value(laid_out(16, 1, sequence=Role.UNIT), "pred")
    y = b.op("tanh", b.op("add", enc, pred))
    y = b.op("conv2d", y, b.parameter("out.weight"), b.parameter("out.bias"))
    finish(b, "joiner", [enc, pred], [("logits", y)], [])


def single(program: Program, builder: Builder, inputs: list[Value], *results: Value) -> Program:
    """`program` with one function of the builder's ops."""
    named = [(f"y{i}", value) for i, value in enumerate(results)]
    finish(builder, "encoder", inputs, named, [])
    return replace(program)


def random_inputs(function: Function, seed: int = 0) -> dict[str, np.ndarray]:
    """fp16-exact normal inputs, states included."""
    rng = np.random.default_rng(seed)
    values = [(v.name, v.type) for v in function.inputs] + [(s.name, s.value.type) for s in function.states]
    return {name: rng.normal(size=t.shape).astype(np.float16).astype(np.float64) for name, t in values}
