"""Attention by content and distance against its definition, one query, key and head at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(5)
BTC = "batch time channel"
HEADS, WIDTH, VALUES, SINUSOIDS = 2, 3, 4, 6


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def distance_code(distance: int) -> list[float]:
    angles = [distance / 10000 ** (2 * i / SINUSOIDS) for i in range(SINUSOIDS // 2)]
    return [f(angle) for angle in angles for f in (math.sin, math.cos)]


def attend(
    q: Any, k: Any, v: Any, p: Any, u: Any, w: Any, seen: Any, scale: float = WIDTH**-0.5, symmetric: bool = False
) -> Any:
    """q, k [T, channels]; seen(t, s) says whether query t sees key s, at least one of which it does."""
    y = np.zeros((len(q), v.shape[1]))
    for h in range(HEADS):
        own = slice(h * WIDTH, (h + 1) * WIDTH)
        values = slice(h * VALUES, (h + 1) * VALUES)
        for t in range(len(q)):
            keys = [s for s in range(len(k)) if seen(t, s)]
            codes = [p[own] @ distance_code(abs(t - s) if symmetric else t - s) for s in keys]
            scores = [
                scale * ((q[t, own] + u[own]) @ k[s, own] + (q[t, own] + w[own]) @ c) for s, c in zip(keys, codes)
            ]
            weights = [math.exp(score) for score in scores]
            y[t, values] = sum(weight * v[s, values] for weight, s in zip(weights, keys)) / sum(weights)
    return y


def operands(frames: int) -> list[np.ndarray]:
    channels = HEADS * WIDTH
    values = [normal(2, frames, channels), normal(2, frames, channels), normal(2, frames, HEADS * VALUES)]
    return [*values, normal(channels, SINUSOIDS), normal(channels), normal(channels)]


def typed(arrays: list[np.ndarray]) -> list[Any]:
    return [*((a, BTC) for a in arrays[:3]), (arrays[3], "plain plain"), (arrays[4], "plain"), (arrays[5], "plain")]


@pytest.mark.parametrize(("left", "right"), [(None, None), (None, 0), (2, 1), (0, 0)])
@pytest.mark.parametrize("masked", [True, False])
def test_a_band_of_keys_that_exist(bench: Any, left: int | None, right: int | None, masked: bool) -> None:
    mask = [1, 1, 1, 1, 1, 0, 1] if masked and right != 0 else [1] * 7
    arrays = operands(7)

    def seen(t: int, s: int) -> bool:
        return t - s <= (99 if left is None else left) and s - t <= (99 if right is None else right) and bool(mask[s])

    want = np.stack([attend(q, k, v, *arrays[3:], seen) for q, k, v in zip(*arrays[:3])])
    bench.agree(
        "relative_attention", [*typed(arrays), (np.array(mask, float), "time") if masked else None], [want],
        heads=HEADS, left=left, right=right,
    )  # fmt: skip


def test_absolute_distances_and_a_scale_of_the_authors(bench: Any) -> None:
    arrays = operands(5)
    rows = zip(*arrays[:3])
    want = np.stack([attend(*row, *arrays[3:], lambda t, s: True, 0.2, True) for row in rows])
    bench.agree("relative_attention", typed(arrays), [want], heads=HEADS, scale=0.2, symmetric=True)


def test_keys_whose_context_is_handed_over_stand_before_the_queries(bench: Any) -> None:
    arrays = operands(8)
    rows = zip(*arrays[:3])
    whole = np.stack([attend(*row, *arrays[3:], lambda t, s: -1 <= t - s <= 2) for row in rows])
    handed = typed([arrays[0][:, 2:7], *arrays[1:]])
    bench.agree("relative_attention", handed, [whole[:, 2:7]], heads=HEADS, left=2, right=1, given=True)
