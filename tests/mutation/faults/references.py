"""Faults in what the others are compared with: the ops' reference semantics and the evaluator of Core ML programs."""

from __future__ import annotations

from ..fault import Fault

MEANING = "tests/ir/ops/test_against_torch.py"
CORE_ML = "tests/evaluate/coreml/test_against_torch.py"

FAULTS = (
    Fault(
        name="selection-of-columns",
        file="mctc/evaluate/coreml/ops/selection.py",
        what="the evaluator takes a matrix that puts rows in an order for its inverse",
        old="-2]), rows.argmax(axis=1)",
        new="-2]), rows.argmax(axis=0)",
        caught_by="tests/evaluate/coreml/test_shortcuts.py",
    ),
    Fault(
        name="taps-reversed-channels-last",
        file="mctc/evaluate/coreml/ops/window_products.py",
        what="the evaluator adds up the taps of a kernel in reverse where channels lie last",
        old="np.ascontiguousarray(by_tap)",
        new="np.ascontiguousarray(by_tap[::-1])",
        caught_by="tests/evaluate/coreml/test_shortcuts.py",
    ),
    Fault(
        name="reference-lstm-gates",
        file="mctc/ir/ops/recurrent.py",
        what="the IR's LSTM has its input gate and its output gate swapped",
        old="i, f, g, o = np.split(gates, 4, -1)",
        new="o, f, g, i = np.split(gates, 4, -1)",
        caught_by=f"{MEANING}::test_recurrent_cells",
    ),
    Fault(
        name="reference-gru-reset",
        file="mctc/ir/ops/recurrent.py",
        what="the IR's GRU resets the state and not what is made of it: the bias of the new gate escapes",
        old="np.tanh(from_x[2] + r * from_h[2])",
        new="np.tanh(from_x[2] + from_h[2] * r + (1 - r) * (0 if bias_hh is None else np.split(bias_hh, 3)[2]))",
        caught_by=f"{MEANING}::test_recurrent_cells",
    ),
    Fault(
        name="reference-scan-euler",
        file="mctc/ir/ops/scan.py",
        what="the IR's selective scan drives its state by x, not by delta * x",
        old="(dt[t] * u[t])[..., None] * b[t]",
        new="u[t][..., None] * b[t]",
        caught_by="tests/ir/ops/test_definitions.py",
    ),
    Fault(
        name="reference-attention-band",
        file="mctc/ir/ops/attention.py",
        what="a frame sees one frame fewer behind it than `left` says",
        old="seen &= offset >= -left",
        new="seen &= offset > -left",
        caught_by=f"{MEANING}::test_attention",
    ),
    Fault(
        name="reference-attention-groups",
        file="mctc/ir/ops/attention.py",
        what="query heads take turns with the heads of values",
        old="values = np.repeat(by_head(self.v.type, v, self.key_heads), self.heads // self.key_heads, axis=-3)",
        new="values = np.concatenate([by_head(self.v.type, v, self.key_heads)] * (self.heads // self.key_heads), -3)",
        caught_by=f"{MEANING}::test_attention",
    ),
    Fault(
        name="reference-conv-groups",
        file="mctc/ir/ops/convolution.py",
        what="a grouped convolution deals its kernels out to the groups in turn",
        old="kernels = weight.reshape(groups, out // groups, c // groups * kh * kw)",
        new="kernels = weight.reshape(out // groups, groups, c // groups * kh * kw).swapaxes(0, 1)",
        caught_by=f"{MEANING}::test_conv1d",
    ),
    Fault(
        name="reference-rms-norm",
        file="mctc/ir/ops/norm.py",
        what="rms_norm adds its epsilon outside of the root",
        old="return self.affine(x / np.sqrt(power + self.epsilon), weight, None)",
        new="return self.affine(x / (np.sqrt(power) + self.epsilon), weight, None)",
        caught_by=f"{MEANING}::test_norms",
    ),
    Fault(
        name="evaluator-layer-norm",
        file="mctc/evaluate/coreml/ops/normalization.py",
        what="the evaluator's layer_norm takes the variance of a sample",
        old="variance = np.square(centred).mean(axis=where, keepdims=True)\n    result = centred / np.sqrt(variance",
        new="variance = x.var(axis=where, keepdims=True, ddof=1)\n    result = centred / np.sqrt(variance",
        caught_by=f"{CORE_ML}::test_normalisation",
    ),
    Fault(
        name="evaluator-pad-order",
        file="mctc/evaluate/coreml/ops/windows.py",
        what="the evaluator reads padding as all the first sides, then all the second ones",
        old="return list(zip(flat[::2], flat[1::2], strict=True))",
        new="return list(zip(flat[: len(sizes)], flat[len(sizes) :], strict=True))",
        caught_by=f"{CORE_ML}::test_conv",
    ),
    Fault(
        name="evaluator-palette-group",
        file="mctc/evaluate/coreml/ops/constexpr.py",
        what="the evaluator looks all entries up in the first palette",
        old="return flat[np.broadcast_to(numbers, indices.shape), indices]",
        new="return flat[np.broadcast_to(0 * numbers, indices.shape), indices]",
        caught_by="tests/evaluate/coreml/test_compressed_constants.py",
    ),
    Fault(
        name="evaluator-state-stale",
        file="mctc/evaluate/coreml/state.py",
        what="the evaluator forgets what a call wrote to a state",
        old="self._values[name] = np.array(value)",
        new="pass",
        caught_by="tests/evaluate/coreml/test_packages.py",
    ),
    Fault(
        name="evaluator-band-shift",
        file="mctc/evaluate/coreml/ops/window_products.py",
        what="the kernels of a run of windows are shifted by one too few",
        old="start = place * stride",
        new="start = max(0, place * stride - 1)",
        caught_by="tests/evaluate/coreml/test_wide_convolutions.py::test_runs_of_any_length_give_what_columns_give",
    ),
    Fault(
        name="evaluator-mod-sign",
        file="mctc/evaluate/coreml/ops/elementwise_binary.py",
        what="mod has the sign of the divisor",
        old="return np.fmod(x, y)",
        new="return np.mod(x, y)",
        caught_by="tests/evaluate/coreml/test_elementwise.py::test_integer_arithmetic_stays_integer",
    ),
)
