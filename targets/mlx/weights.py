"""model.safetensors and the table of quantised layers in config.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mctc.emit.stored import stored
from mctc.ir.op import Array
from mctc.ir.program import Parameter, Program
from mctc.quantize import Scaled
from mctc.records import dataclass
from mctc.targets.mlx.errors import MlxError
from mctc.weights import Weights

FILE = "model.safetensors"
GROUPS = (128, 64, 32)  # inputs that share a scale, as MLX has them: a row has one scale, so the largest that fits
KINDS = {"float16": "F16", "uint32": "U32", "float32": "F32"}


@dataclass(frozen=True)
class Affine:
    """A linear layer as MLX's affine codes: weight [out, words], scales and biases [out, groups]."""

    bits: int
    group_size: int
    weight: Array
    scales: Array
    biases: Array


def affine(held: Scaled) -> Affine:
    """Codes c * s as (c + 2^(b-1)) * s - 2^(b-1) s: the same numbers, in fp32 bit for bit."""
    rows, inputs = held.codes.shape
    group = next(size for size in GROUPS if inputs % size == 0)
    middle = 1 << (held.bits - 1)
    scales = np.repeat(held.scale.reshape(rows, 1), inputs // group, 1)
    biases = (-np.float32(middle) * scales.astype(np.float32)).astype(scales.dtype)
    return Affine(held.bits, group, words(held.codes.astype(np.int16) + middle, held.bits), scales, biases)


def words(codes: Array, bits: int) -> Array:
    """Unsigned codes [rows, n] as uint32 [rows, n * bits / 32], the first of a row in the lowest bits."""
    each = 32 // bits
    shifts = (np.arange(each, dtype=np.uint32) * np.uint32(bits)).astype(np.uint32)
    grouped = codes.astype(np.uint32).reshape(codes.shape[0], -1, each) << shifts
    return np.asarray(np.bitwise_or.reduce(grouped, axis=-1))


def write_weights(program: Program, weights: Weights, orders: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Writes every parameter, one at a time, under the names of the module. Raises MlxError for one that fp16 can't
    hold."""
    layout: dict[str, Any] = {"__metadata__": {"format": "mlx"}}
    offset = 0
    for parameter in program.parameters.values():
        for name, dtype, shape in _shapes(parameter, orders.get(parameter.name)):
            size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
            layout[name] = {"dtype": KINDS[dtype], "shape": list(shape), "data_offsets": [offset, offset + size]}
            offset += size
    head = json.dumps(layout, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for parameter in program.parameters.values():
            for array in _arrays(parameter, weights, orders.get(parameter.name)):
                file.write(np.ascontiguousarray(array).tobytes())
            weights.release()


def is_codes(parameter: Parameter) -> bool:
    """Whether a layer holds the parameter as codes."""
    return parameter.quantization is not None and parameter.quantization.wide


def _shapes(parameter: Parameter, order: tuple[int, ...] | None) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    shape, how = parameter.type.shape, parameter.quantization
    if how is None or not how.wide:
        yield (
            parameter.name,
            "float32" if parameter.wide else "float16",
            shape if order is None else tuple(shape[axis] for axis in order),
        )
        return
    rows, inputs = shape
    groups = inputs // next(size for size in GROUPS if inputs % size == 0)
    layer = parameter.name.rpartition(".")[0]
    yield parameter.name, "uint32", (rows, inputs * how.bits // 32)
    yield f"{layer}.scales", "float16", (rows, groups)
    yield f"{layer}.biases", "float16", (rows, groups)


def _arrays(parameter: Parameter, weights: Weights, order: tuple[int, ...] | None) -> Iterator[Array]:
    held = stored(weights, parameter, MlxError)
    if isinstance(held, Scaled) and is_codes(parameter):
        codes = affine(held)
        yield from (codes.weight, codes.scales, codes.biases)
    else:
        dense = held if isinstance(held, np.ndarray) else held.dequantize()
        dense = dense.astype(np.float32 if parameter.wide else np.float16)
        yield dense if order is None else dense.transpose(order)


def quantized_layers(program: Program) -> dict[str, Any]:
    """The `quantization` of config.json: what the most layers have, and under its path what any layer has."""
    layers = {p.name.rpartition(".")[0]: _settings(p) for p in program.parameters.values() if is_codes(p)}
    if not layers:
        return {}
    settings = list(layers.values())
    usual = max(settings, key=settings.count)
    return {**usual, **layers}


def _settings(parameter: Parameter) -> dict[str, Any]:
    how, inputs = parameter.quantization, parameter.type.shape[1]
    assert how is not None, "is_codes asked"
    return {"group_size": next(size for size in GROUPS if inputs % size == 0), "bits": how.bits, "mode": "affine"}
