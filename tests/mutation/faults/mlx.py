"""Faults in what MLX packages and chains of packages are written by, and run on."""

from __future__ import annotations

from ..fault import Fault

FAULTS = (
    Fault(
        name="mlx-padding-behind",
        file="passes/channels_last.py",
        what="a convolution along frames is padded behind them, where it was padded before",
        old='"groups": op.groups, "pad": op.pad}',
        new='"groups": op.groups, "pad": op.pad[::-1]}',
        caught_by="tests/passes/test_channels_last.py",
    ),
    Fault(
        name="mlx-codes-uncentred",
        file="targets/mlx/weights.py",
        what="affine codes are moved by half of what their bias takes back",
        old="held.codes.astype(np.int16) + middle",
        new="held.codes.astype(np.int16) + middle // 2",
        caught_by="tests/targets/mlx/test_package.py",
    ),
    Fault(
        name="mlx-reset-gate-dropped",
        file="targets/mlx/runtime/functional.py",
        what="the reset gate of a GRU is open in MLX",
        old="mx.tanh(xn + mx.sigmoid(xr + hr) * hn)",
        new="mx.tanh(xn + hn)",
        caught_by="tests/targets/mlx/test_ops.py",
    ),
    Fault(
        name="mlx-blind-queries-see",
        file="targets/mlx/runtime/attention.py",
        what="a query whose keys are all masked weighs them in MLX, where it should average",
        old="q = q if blind is None else mx.where(blind, 0, q)",
        new="q = q",
        caught_by="tests/targets/mlx/test_ops.py",
    ),
    Fault(
        name="split-parts-unbalanced",
        file="targets/ane/split.py",
        what="a function is split at its first places, whatever its parts cost",
        old="max(cost, before[end] - before[at])",
        new="cost + before[end] - before[at]",
        caught_by="tests/targets/ane/test_split.py",
    ),
)
