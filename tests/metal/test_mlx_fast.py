"""selective_scan.metal as an MLX package launches it: the text that MLX makes of it, its launch, its values."""

from __future__ import annotations

import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import needs_engine

mx = pytest.importorskip("mlx.core", reason="mlx is not installed: pip install 'mctc[mlx]'")

from mctc.targets.mlx.imports import RUNTIME  # noqa: E402
from mctc.targets.mlx.runtime.selective_scan import sequential  # noqa: E402
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
}


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of an emitted package that launches the kernel, with a stand-in for mx.fast.metal_kernel."""
    for file in (RUNTIME / "selective_scan_metal.py", TRAINING / "selective_scan.metal"):
        shutil.copy(file, tmp_path / file.name)
    spec = spec_from_file_location("selective_scan_metal", tmp_path / "selective_scan_metal.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(mx.fast, "metal_kernel", MetalKernel)
    return module


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


@pytest.mark.quick("all there is", "half", "one frame, three states")
@pytest.mark.parametrize("case", CASES)
def test_the_kernel_computes_what_the_loop_over_frames_does(case: str, launcher: Any) -> None:
    shape, given, softplus, kind = CASES[case]
    arguments = operands(shape, given, kind)
    made, expected = launcher.scan(*arguments, softplus), sequential(*arguments, softplus)
    limit = {"float32": 2e-6, "float16": 2e-3, "bfloat16": 2e-2}[kind]
    for got, want in zip(made, expected, strict=True):
        assert got.shape == want.shape
        assert got.dtype == want.dtype
        scale = float(mx.abs(want.astype(mx.float32)).max())
        assert float(mx.abs(got.astype(mx.float32) - want.astype(mx.float32)).max()) <= limit * scale


def test_a_header_has_no_kernel_and_a_body_no_names_of_positions_of_its_own(launcher: Any) -> None:
    text = (TRAINING / "selective_scan.metal").read_text(encoding="utf-8")
    header, body = launcher.parts(text, launcher.KERNEL, {"STATES": 16})
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
