"""Matrices of keys and values without a loop over frames: the values, and which scans become that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.driver import BuildOptions, build
from mctc.ir.op import Array
from mctc.proof.proof import Proof

mx = pytest.importorskip("mlx.core", reason="mlx is not installed: pip install 'mctc[mlx]'")

B, P, N = 2, 3, 4
MODEL = """import "lib/linear_attention.mct"
import "lib/rwkv7.mct"

model m(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, width]) -> f32[B, T, width] {
        BODY
    }
    stream { chunk = 40 ms }
}
"""
BLOCKS = {
    "gated linear attention": "return gated_linear_attention(x, heads = 2, keys = 4, rank = 2)",
    "delta rule": "return delta_net(x, heads = 2, kernel = 2)",
    "gated delta rule": "return delta_net(x, heads = 2, kernel = 2, gated = true)",
    "RWKV-7": "y, _own = rwkv7(x, heads = 2)\n        return y",
}
OTHERWISE = """k = split_channels(x, groups = 1)
        scan s: f32[B, T, width, width] { s = 0.5 * s + k * x }
        return merge_channels(reduce_max(s, "feature"))"""
FROM_A_PARAMETER = """k = split_channels(x, groups = 1)
        param start: f32[width, width]
        scan s: f32[B, T, width, width] = start { s = sigmoid(slice(x, "channel", 0, 1)) * s + k * x }
        return merge_channels(reduce_sum(s * k, "feature"))"""


def frame_by_frame(
    query: Array, key: Array, value: Array, log_decay: Array | None, into: Array | None, of: Array | None, h: Array
) -> tuple[Array, Array]:
    state, outputs = h, []
    for t in range(query.shape[1]):
        new = state if log_decay is None else state * np.exp(log_decay[:, t])
        new = new + key[:, t] * value[:, t]
        if into is not None and of is not None:
            new = new + into[:, t] * (of[:, t] * state).sum(1, keepdims=True)
        state = new
        outputs.append((query[:, t] * state).sum(1, keepdims=True))
    return np.stack(outputs, 1), state


@pytest.mark.parametrize("decay", ["none", "one", "of each entry of a key"])
@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("frames", [1, 7, 70])
def test_it_is_the_recurrence(decay: str, corrected: bool, frames: int) -> None:
    from mctc.targets.mlx.runtime import associations

    rng = np.random.default_rng(frames)
    query, key = rng.normal(size=(B, frames, N, 1)), rng.normal(size=(B, frames, N, 1))
    key /= np.linalg.norm(key, axis=2, keepdims=True)
    given: list[Array | None] = [query, key, rng.normal(size=(B, frames, 1, P)), None, None, None]
    if decay != "none":
        given[3] = -np.logaddexp(0, rng.normal(size=(B, frames, 1 if decay == "one" else N, 1)))
    if corrected:
        given[4], given[5] = -key * rng.uniform(size=(B, frames, 1, 1)), key * 0.9
    h = rng.normal(size=(B, N, P))
    arrays = [None if each is None else mx.array(each.astype(np.float32)) for each in (*given, h)]
    for way in (associations.in_products, associations.frame_by_frame):
        for got, wanted in zip(way(*arrays), frame_by_frame(*given, h), strict=True):  # type: ignore[arg-type]
            np.testing.assert_allclose(np.array(got), wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())


def test_a_gpu_has_products_of_what_is_no_short_step(monkeypatch: pytest.MonkeyPatch) -> None:
    from mctc.targets.mlx.runtime import associations

    monkeypatch.setattr(associations, "in_products", lambda *given: "products")
    monkeypatch.setattr(associations, "frame_by_frame", lambda *given: "frames")
    key, value = mx.zeros((1, 17, N, 1)), mx.zeros((1, 17, 1, P))
    with mx.stream(mx.cpu):
        assert associations.associations(key, key, value) == "frames"
    monkeypatch.setattr(mx, "default_device", lambda: mx.Device(mx.gpu))
    assert associations.associations(key, key, value) == "products"
    assert associations.associations(key[:, :8], key[:, :8], value[:, :8]) == "frames"


@pytest.mark.parametrize("size", [1, 2, 13, 64])
def test_the_inverse_of_a_unit_triangle(size: int) -> None:
    from mctc.targets.mlx.runtime.associations import unit_inverse

    strict = np.tril(np.random.default_rng(size).normal(size=(2, 3, size, size)), -1) / size
    got = np.array(unit_inverse(mx.array(strict.astype(np.float32))))
    np.testing.assert_allclose(got, np.linalg.inv(np.eye(size) + strict), rtol=0, atol=1e-5)


def _written(tmp_path: Path, body: str) -> str:
    (tmp_path / "m.mct").write_text(MODEL.replace("BODY", body))
    build(tmp_path / "m.mct", tmp_path / "out", BuildOptions(target="mlx"))
    return (tmp_path / "out/m/model.py").read_text()


@pytest.mark.quick("delta rule")
@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_of_the_library_have_no_loop_over_frames(block: str, tmp_path: Path) -> None:
    """Neither whole nor in a step; the build compares both with the program."""
    written = _written(tmp_path, BLOCKS[block])
    assert "associations(" in written
    assert "for t in" not in written
    checks = [check for check in Proof(tmp_path / "out", runtimes=()).checks() if check.error]
    assert {check.name for check in checks} >= {"MLX, fp32", "MLX, fp32, whole"}
    assert not [check for check in checks if not check.ok]


@pytest.mark.parametrize("body", [OTHERWISE, FROM_A_PARAMETER], ids=["read otherwise", "from a parameter"])
def test_another_matrix_has_its_loop(body: str, tmp_path: Path) -> None:
    assert "for t in" in _written(tmp_path, body)
