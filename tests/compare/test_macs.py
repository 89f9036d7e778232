"""Multiply-accumulates against counts by hand, and against torch's own counter over the emitted modules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.compare.operand import measure_spec
from mctc.driver import BuildOptions, build
from mctc.ir.declared import registry
from mctc.ir.op import Op
from mctc.ir.text import parse_program
from mctc.ir.types import DType
from mctc.runtime.built import open_built
from mctc.runtime.step import Packages

X = "f32[batch 1, time 6, channel 8]"
BC = "f32[batch 1, time 6, channel 4]"
# One op, its inputs, and its products counted by hand: outputs times the length of the sum that each one is.
BY_HAND = {
    "linear(%x, %w)": ({"x": X, "w": "f32[16, 8]"}, 6 * 16 * 8),
    "conv1d(%x, %w, stride = 2, pad = [1, 1])": ({"x": X, "w": "f32[16, 8, 4]"}, 3 * 16 * 8 * 4),
    "conv1d(%x, %w, groups = 8, pad = [2, 0])": ({"x": X, "w": "f32[8, 1, 3]"}, 6 * 8 * 3),
    "conv2d(%x, %w, pad = [2, 0], pad_feature = [1, 1])": (
        {"x": "f32[batch 1, time 6, feature 5, channel 8]", "w": "f32[16, 8, 3, 3]"},
        6 * 5 * 16 * 8 * 9,
    ),
    "matmul(%x, %w)": ({"x": X, "w": "f32[8, 16]"}, 6 * 16 * 8),
    "matmul(%x, %x, transpose_left = true)": ({"x": X}, 8 * 8 * 6),
    "attention(%x, %y, %y, heads = 2, left = 0, right = 0)": ({"x": X, "y": X}, 2 * (6 * 6 * 4 + 6 * 4 * 6)),
    "attention(%x, %y, %y, heads = 4, kv_heads = 2)": ({"x": X, "y": BC}, 4 * (6 * 6 * 2 + 6 * 2 * 6)),
    "relative_attention(%x, %x, %x, %p, %u, %u, heads = 2)": (
        {"x": X, "p": "f32[8, 8]", "u": "f32[8]"},
        2 * (6 * 6 * 4 + 6 * 6 * 4 + 6 * 4 * 6),
    ),
    "selective_scan(%x, %x, %A, %B, %B, %D)": (
        {"x": X, "A": "f32[8, 4]", "B": BC, "D": "f32[8]"},
        6 * 8 * (3 * 4 + 1),
    ),
    "ssd(%x, %d, %A, %B, %B, groups = 2)": (
        {"x": X, "d": "f32[batch 1, time 6, channel 4]", "A": "f32[4]", "B": BC},
        6 * (4 * 2) * 3 * 2,
    ),
    "ssd(%x, %d, %A, %B, %B)": (  # two heads of two channels and two states; two writes and two reads a frame
        {"x": X, "d": BC, "A": "f32[batch 1, time 6, channel 2]", "B": BC},
        6 * (2 * 2 * 2) * (1 + 2 + 2),
    ),
    "lstm(%x, %w, %v)": ({"x": X, "w": "f32[20, 8]", "v": "f32[20, 5]"}, 6 * 20 * (8 + 5)),
    "gru(%x, %w, %v)": ({"x": X, "w": "f32[15, 8]", "v": "f32[15, 5]"}, 6 * 15 * (8 + 5)),
    "silu(%x)": ({"x": X}, 0),
    "layer_norm(%x)": ({"x": X}, 0),
}
RESULTS = {"selective_scan": 2, "ssd": 2, "lstm": 3, "gru": 2}


@pytest.mark.parametrize("line", BY_HAND)
def test_an_op_is_counted_as_by_hand(line: str) -> None:
    inputs, wanted = BY_HAND[line]
    given = ", ".join(f"%{name}: {type_}" for name, type_ in inputs.items())
    made = ", ".join(f"%{i}" for i in range(RESULTS.get(line.partition("(")[0], 1)))
    (op,) = parse_program(f"function @f({given}) {{ {made} = {line} }}").functions["f"].ops
    assert op.macs() == wanted


def test_every_op_that_sums_products_is_counted() -> None:
    """What is not counted works entry by entry, moves, reduces or looks up."""
    free = {
        f"mctc.ir.ops.{room}"
        for room in (
            "comparison",
            "elementwise",
            "leaf",
            "loop",
            "norm",
            "position",
            "quantize",
            "reduce",
            "shape",
            "training",
        )
    }
    own = {name for name, each in registry().items() if each.__module__.startswith("mctc.ir.ops.")}
    summed = {name for name in own if registry()[name].__module__ not in free} - {"embedding"}
    assert summed == {name for name in own if registry()[name].macs is not Op.macs}


# Specs without scans or cells, whose torch modules' products torch's counter sees; sizes, and frames of an utterance.
MODULES = {
    "whisper_tiny": {"width": 16, "depth": 2, "heads": 2, "vocab": 99, "frames": 32, "labels": 12},
    "qwen3_asr_0_6b": dict(
        **dict.fromkeys(("audio_width", "width"), 16), **dict.fromkeys(("audio_depth", "depth", "window"), 1),
        audio_heads=2, audio_inner=32, audio_channels=4,
        heads=4, kv_heads=2, head=8, inner=32, vocab=99, labels=24, prefill=4,
    ),
}  # fmt: skip
HOLDERS = {DType.F32: np.float32, DType.I32: np.int32}


@pytest.mark.parametrize("spec", MODULES)
def test_torchs_counter_finds_as_many_in_an_emitted_module(spec: str, root: Path, tmp_path: Path) -> None:
    counter, attention = map(pytest.importorskip, ("torch.utils.flop_counter", "torch.nn.attention"))
    path, sizes = root / "spec" / f"{spec}.mct", MODULES[spec]
    built = open_built(build(path, tmp_path / "torch", BuildOptions(target="torch", defines=sizes)).folder)
    packages = Packages(built, load=lambda program: built.values(program))
    for component in measure_spec(path, sizes).components:
        function = built.functions[component.name]
        called = packages.engine(function.package).function(function.stored_as)
        arrays = {port.name: np.zeros(port.type.shape, HOLDERS[port.type.dtype]) for port in function.inputs}
        # The counter knows products, but not the kernel that fuses those of attention on a CPU.
        with attention.sdpa_kernel(attention.SDPBackend.MATH), counter.FlopCounterMode(display=False) as found:
            called(arrays, called.make_state())
        assert found.get_total_flops() == 2 * component.macs, component.name
