"""Compressed constants against plain loops over their definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(2)


def packed(values: np.ndarray, bits: int) -> np.ndarray:
    """Bits written one by one, lowest first."""
    stream = [(int(value) >> k) & 1 for value in values.ravel() for k in range(bits)]
    stream += [0] * (-len(stream) % 8)
    return np.array(
        [sum(bit << k for k, bit in enumerate(stream[i : i + 8])) for i in range(0, len(stream), 8)], np.uint8
    )


def test_affine_dequantize_per_tensor_and_per_channel(check: Any) -> None:
    data = RNG.integers(-128, 128, (2, 3), dtype=np.int8)
    per_tensor = np.array([[(int(n) - 3) * 0.5 for n in row] for row in data], np.float32)
    check("constexpr_affine_dequantize", per_tensor, quantized_data=data, zero_point=np.int8(3), scale=0.5, axis=0)
    scale, zero = np.array([0.5, 2.0, 0.25], np.float32), np.array([1, 2, -3], np.int8)
    expected = [[(int(data[i, j]) - int(zero[j])) * float(scale[j]) for j in range(3)] for i in range(2)]
    operands = {"quantized_data": data, "zero_point": zero, "scale": scale, "axis": 1}
    check("constexpr_affine_dequantize", np.array(expected, np.float32), **operands)


@pytest.mark.parametrize("blocks", [(1, 1), (4, 1), (4, 2), (2, 3), (1, 6)])
@pytest.mark.parametrize("with_offset", [False, True])
def test_blockwise_shift_scale(check: Any, const: Any, blocks: tuple[int, int], with_offset: bool) -> None:
    data = RNG.integers(-8, 8, (4, 6), dtype=np.int8)
    scale = RNG.uniform(0.1, 2, blocks).astype(np.float32)
    offset = RNG.integers(-8, 8, blocks, dtype=np.int8)
    expected = np.zeros((4, 6), np.float32)
    for i in range(4):
        for j in range(6):
            block = i * blocks[0] // 4, j * blocks[1] // 6
            expected[i, j] = (int(data[i, j]) - (int(offset[block]) if with_offset else 0)) * scale[block]
    extra = {"offset": const(offset, "int4")} if with_offset else {}
    check("constexpr_blockwise_shift_scale", expected, data=const(data, "int4"), scale=scale, **extra)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8])
def test_a_packed_palette(check: Any, const: Any, bits: int) -> None:
    indices, lut = RNG.integers(0, 1 << bits, (3, 5)), RNG.standard_normal(1 << bits).astype(np.float32)
    expected = np.array([[lut[n] for n in row] for row in indices], np.float32)
    shape = const(np.array([3, 5], np.uint32), "uint32")
    check("constexpr_lut_to_dense", expected, indices=packed(indices, bits), lut=lut, shape=shape)


@pytest.mark.parametrize("groups", [(1, 1), (2, 1), (1, 3), (2, 3)])
def test_a_grouped_palette(check: Any, groups: tuple[int, int]) -> None:
    indices = RNG.integers(0, 4, (4, 6)).astype(np.uint8)
    lut = RNG.standard_normal((*groups, 4, 1)).astype(np.float32)
    expected = np.zeros((4, 6), np.float32)
    for i in range(4):
        for j in range(6):
            expected[i, j] = lut[i * groups[0] // 4, j * groups[1] // 6, indices[i, j], 0]
    check("constexpr_lut_to_dense", expected, indices=indices, lut=lut)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_palette_of_vectors(check: Any, axis: int) -> None:
    indices = RNG.integers(0, 4, (2, 3)).astype(np.uint8)
    lut = RNG.standard_normal((2, 1, 4, 2)).astype(np.float32)
    expected = np.zeros((4, 3) if axis == 0 else (2, 6), np.float32)
    for i in range(2):
        for j in range(3):
            for k in range(2):
                place = (2 * i + k, j) if axis == 0 else (i, 2 * j + k)
                expected[place] = lut[i, 0, indices[i, j], k]
    check("constexpr_lut_to_dense", expected, indices=indices, lut=lut, vector_axis=axis)


MASK = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]], np.uint8)
PLACES = [(i, j) for i in range(4) for j in range(4) if MASK[i, j]]


def dense(values: list[float]) -> np.ndarray:
    result = np.zeros((4, 4), np.float32)
    for place, value in zip(PLACES, values, strict=True):
        result[place] = value
    return result


def test_sparse_to_dense_in_both_forms(check: Any, const: Any) -> None:
    values = np.arange(10, 19, dtype=np.float32)
    mask = const(MASK, "uint1")
    check("constexpr_sparse_to_dense", dense(values.tolist()), nonzero_data=values, mask=mask)
    shape = const(np.array([4, 4], np.uint32), "uint32")
    bits = packed(MASK, 1)
    check("constexpr_sparse_to_dense", dense(values.tolist()), nonzero_data=values, mask=bits, shape=shape)


def test_the_sparse_examples_of_the_documentation(sketch: Any, const: Any) -> None:
    """constexpr_sparse_blockwise_shift_scale and constexpr_lut_to_sparse, as coremltools' docstrings work them out."""
    from mctc.evaluate.coreml import Evaluator
    from mctc.package import TensorType

    mask = const(MASK, "uint1")
    shifted = {"mask1": TensorType("uint1", (4, 4)), "scaled": TensorType("fp32", (9,))}
    sketch.op(
        "constexpr_sparse_blockwise_shift_scale",
        shifted,
        data_mask=mask,
        nonzero_data=const(np.array([10, 11, 3, 4, 5, 6, 7, 8, 9], np.int8)),
        scale=const(np.array([[0.1, 0.2, 0.3, 0.4]], np.float32)),
        offset=const(np.array([[1, 2, 3, 4]], np.int8)),
    )
    indices = const(np.array([0, 1, 1, 0, 1, 1, 0, 0, 1], np.uint8), "uint1")
    looked = {"mask2": TensorType("uint1", (8, 4)), "entries": TensorType("fp32", (18,))}
    lut = const(np.array([[[[2.0, 2.5], [3.0, 3.5]]]], np.float32))
    sketch.op(
        "constexpr_lut_to_sparse",
        looked,
        indices_mask=mask,
        indices_nonzero_data=indices,
        lut=lut,
        vector_axis=const(0),
    )
    spread = {"dense": TensorType("fp32", (8, 4))}
    sketch.op("constexpr_sparse_to_dense", spread, nonzero_data="entries", mask="mask2")
    found = Evaluator(sketch.package(["scaled", "dense"]), precision="fp32").function()({})
    np.testing.assert_allclose(found["scaled"], [0.9, 1.8, 0.2, 0.4, 0.6, 0.9, 1.2, 0.7, 1.4], rtol=1e-6)
    expected = np.zeros((8, 4), np.float32)
    expected[0::2] = dense([2, 3, 3, 2, 3, 3, 2, 2, 3])
    expected[1::2] = dense([2.5, 3.5, 3.5, 2.5, 3.5, 3.5, 2.5, 2.5, 3.5])
    np.testing.assert_array_equal(found["dense"], expected)


def test_constexpr_cast_keeps_the_values(check: Any, const: Any) -> None:
    values = np.array([0.1, -2.5], np.float16)
    check("constexpr_cast", values.astype(np.float32), source_val=const(values), output_dtype="fp32")
