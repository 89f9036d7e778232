"""A fingerprint tells arrays apart that differ in a bit, in an element type or in order."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.fingerprint import WORDS, fingerprint
from mctc.ir.op import Array

BLOCK = 4 * WORDS  # of fp16: 64 kB


def noise(size: int) -> Array:
    return np.random.default_rng(0).standard_normal(size).astype(np.float16)


@pytest.mark.parametrize("size", [0, 1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_equal_numbers_have_one_whatever_their_shape_and_memory(size: int) -> None:
    array = noise(size)
    assert fingerprint(array) == fingerprint(np.repeat(array, 2)[::2])
    assert fingerprint(array) == fingerprint(array.reshape(1, -1, 1))


@pytest.mark.parametrize("place", [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 3])
@pytest.mark.parametrize("bit", [0, 9, 15])
def test_a_single_bit_is_seen(place: int, bit: int) -> None:
    array = noise(2 * BLOCK + 4)
    before = fingerprint(array)
    array.view(np.uint16)[place] ^= 1 << bit
    assert fingerprint(array) != before


def test_the_order_of_numbers_and_of_blocks_is_seen() -> None:
    array = noise(2 * BLOCK)
    turned, others = array.copy(), np.roll(array, BLOCK)
    turned[[0, 9]] = turned[[9, 0]]
    assert len({fingerprint(each) for each in (array, turned, others)}) == 3


def test_the_element_type_and_zeros_at_the_end_are_seen() -> None:
    array = np.zeros(BLOCK, np.float16)
    assert len({fingerprint(each) for each in (array, array.view(np.int16), array[:-1], np.zeros(0, np.float16))}) == 4
