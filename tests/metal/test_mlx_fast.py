"""selective_scan.metal as an MLX package launches it: the text that MLX makes of it, its launch, its values."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import needs_engine

mx = pytest.importorskip("mlx.core", reason="mlx is not installed: pip install 'mctc[mlx]'")

from mctc.targets.mlx.engine import module_of  # noqa: E402
from mctc.targets.mlx.imports import RUNTIME  # noqa: E402
from mctc.targets.mlx.support import TAKEN  # noqa: E402
from mctc.targets.torch.runtime.selective_scan_plan import plan  # noqa: E402
from mctc.targets.torch.support import RUNTIME as TRAINING  # noqa: E402

from .mlx_fast import MetalKernel  # noqa: E402
from .torch_mps import LaunchError  # noqa: E402

pytestmark = needs_engine
# batch, frames, channels, states; which of D, h, z there are; whether delta goes through softplus; what x is
CASES: dict[str, tuple[tuple[int, ...], str, bool, str]] = {
    "all there is": ((2, 37, 40, 16), "Dhz", True, "float32"),
    "one frame, three states": ((1, 1, 8, 3), "", False, "float32"),
    "many states": ((1, 9, 12, 64), "D", True, "float32"),
    "half": ((1, 33, 8, 16), "Dz", True, "float16"),
    "bfloat": ((1, 8, 8, 16), "h", True, "bfloat16"),
    "three chunks of frames": ((2, 150, 8, 4), "Dhz", True, "float32"),
    "chunks of half": ((1, 260, 3, 16), "h", False, "float16"),
    "chunks of many states": ((1, 70, 3, 130), "", True, "float32"),
}


@pytest.fixture
def emitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of an emitted package that scans, with a stand-in for mx.fast.metal_kernel beneath."""
    (tmp_path / "__init__.py").touch()
    for name in ("selective_scan", "selective_scan_metal"):
        shutil.copy(RUNTIME / f"{name}.py", tmp_path)
        for file in TAKEN.get(name, ()):
            shutil.copy(TRAINING / file, tmp_path)
    monkeypatch.setattr(mx.fast, "metal_kernel", MetalKernel)
    return module_of(tmp_path / "model.py", "selective_scan")


def operands(shape: tuple[int, ...], given: str, kind: str) -> list[Any]:
    batch, frames, channels, states = shape
    rng = np.random.default_rng(0)

    def made(*sizes: int) -> Any:
        return mx.array(rng.normal(size=sizes).astype(np.float32)).astype(getattr(mx, kind))

    x, delta, z = (made(batch, frames, channels) for _ in range(3))
    b, c = (made(batch, frames, states) for _ in range(2))
    a = -mx.exp(mx.array(rng.normal(size=(channels, states)).astype(np.float32)))
    first = mx.array(rng.normal(size=(batch, channels, states)).astype(np.float32))
    skip = mx.array(rng.normal(size=channels).astype(np.float32))
    options = [value if name in given else None for name, value in (("D", skip), ("h", first), ("z", z))]
    return [x, mx.abs(delta) * 0.5, a, b, c, *options]


@pytest.mark.quick("all there is", "half", "one frame, three states", "three chunks of frames")
@pytest.mark.parametrize("case", CASES)
def test_the_kernel_computes_what_the_loop_over_frames_does(case: str, emitted: Any) -> None:
    shape, given, softplus, kind = CASES[case]
    arguments = operands(shape, given, kind)
    made = emitted.selective_scan_metal.scan(*arguments, softplus)
    expected = emitted.sequential(*arguments, softplus)
    limit = {"float32": 2e-6, "float16": 2e-3, "bfloat16": 2e-2}[kind]
    for got, want in zip(made, expected, strict=True):
        assert got.shape == want.shape
        assert got.dtype == want.dtype
        scale = float(mx.abs(want.astype(mx.float32)).max())
        assert float(mx.abs(got.astype(mx.float32) - want.astype(mx.float32)).max()) <= limit * scale


def test_long_scans_of_few_channels_are_cut_into_chunks_and_others_are_not(
    emitted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As training cuts them: by the one table, selective_scan_plan.py."""
    launcher, launched = emitted.selective_scan_metal, []

    def kernel(name: str, *how: object) -> Any:
        def call(**given: Any) -> list[Any]:
            launched.append((name, given["grid"]))
            return [mx.zeros(shape, dtype) for shape, dtype in zip(given["output_shapes"], given["output_dtypes"])]

        return call

    monkeypatch.setattr(launcher, "_kernel", kernel)
    for frames, channels in ((40, 64), (3000, 64), (3000, 8192)):
        launcher.scan(*operands((1, frames, channels, 16), "", "float32"), False)
    few = plan(1, 64, 3000, 16, 1, 4)
    chunks = -(-3000 // few.forward_chunk)
    assert chunks > 1
    assert launched == [
        (launcher.FORWARD, (256, 1, 1)),
        (launcher.CHUNK_ENDS, (256, chunks - 1, 1)),
        (launcher.FORWARD, (256, chunks, 1)),
        (launcher.FORWARD, (8192 * 4, 1, 1)),
    ]


def test_more_entries_than_a_kernel_reaches_are_refused(emitted: Any) -> None:
    x, b = mx.zeros((1, 1, 1)), mx.zeros((1, 1, 1))
    long = mx.broadcast_to(x, (1, 2**21, 2**11))
    with pytest.raises(ValueError, match="2097152 frames of 2048 channels"):
        emitted.selective_scan_metal.scan(long, long, mx.zeros((2**11, 1)), b, b, None, None, None, False)


@pytest.mark.parametrize("kernel", ["FORWARD", "CHUNK_ENDS"])
def test_a_header_has_no_kernel_and_a_body_no_names_of_positions_of_its_own(kernel: str, emitted: Any) -> None:
    launcher = emitted.selective_scan_metal
    text = "".join((TRAINING / each).read_text(encoding="utf-8") for each in launcher.TEXTS)
    header, body = launcher.parts(text, getattr(launcher, kernel), {"STATES": 16})
    assert header.startswith("#define STATES 16\n")
    assert "kernel void" not in header + body
    assert "#include" not in header
    assert "thread_position_in_threadgroup.x" in body
    assert "thread_index" not in body


def test_a_call_that_mlx_would_take_for_something_else_is_refused() -> None:
    kernel = MetalKernel("twice", ["x"], ["y"], "\n    y[thread_position_in_threadgroup.x] = 2.0f * x[0];\n")
    call = {"grid": (32, 1, 1), "threadgroup": (32, 1, 1), "output_shapes": [(32,)], "output_dtypes": [mx.float32]}
    with pytest.raises(LaunchError, match="would be `constant`"):
        kernel(inputs=[mx.ones(4)], **call)
    (made,) = kernel(inputs=[mx.ones(8)], **call)
    assert made.tolist() == [2.0] * 32
