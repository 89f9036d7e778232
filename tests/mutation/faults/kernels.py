"""Faults in the kernels of the training side: on the CPU in C++ and in torch operations, on GPUs in Metal's language.

tests/metal seeds many more in the Metal texts, with the check that sees each first (docs/metal.md).
"""

from __future__ import annotations

from ..fault import Fault

SCAN = "tests/targets/torch/test_selective_scan.py"
LENGTHS = f"{SCAN}::test_lengths_and_states"
OPTIONS = f"{SCAN}::test_options"
GROUPS = f"{SCAN}::test_channels_and_groups"
LOSS = "tests/targets/torch/test_rnnt_loss.py::test_values_and_gradients_are_those_of_the_definition"
CELLS = "tests/targets/torch/test_rnnt_loss.py::test_the_collapsed_cells_and_their_gradients_are_those_of_the_softmax"
METAL_SCAN = (
    "tests/metal/test_selective_scan.py::test_values_and_gradients_are_those_of_the_definition"
    "[three states, several tiles, ragged-as chosen]"
)
METAL_LOSS = "tests/metal/test_rnnt_loss.py::test_the_loss_and_its_gradient_are_those_of_the_definition[ragged]"

FAULTS = (
    Fault(
        name="native-backward-decay",
        file="targets/torch/runtime/selective_scan.cpp",
        what="the C++ scan's adjoint decays after the exponent's gradient was taken, not before",
        old="g[k] = w.decay[k][t] * dh;\n        const Lanes dexponent = g[k] * w.before[k][t];",
        new="g[k] = w.decay[k][t] * dh;\n        const Lanes dexponent = dh * w.before[k][t];",
        caught_by=f"{LENGTHS}[native-33-3]",
    ),
    Fault(
        name="native-gate-gradient",
        file="targets/torch/runtime/selective_scan.cpp",
        what="the gradient of the gate leaves out the gate's own slope",
        old="w.z[t] = dy * gate * (1.0f + z * (1.0f - gate));",
        new="w.z[t] = dy * gate;",
        caught_by=f"{OPTIONS}[native-z-False]",
    ),
    Fault(
        name="native-checkpoint",
        file="targets/torch/runtime/selective_scan.cpp",
        what="the C++ scan keeps a tile's states after the tile, not before it",
        old="      std::memcpy(checkpoint(tile), w.h, scan.states * sizeof(Lanes));\n      load_tile(start, steps);\n"
        "      int64_t n = 0;\n      for (; n + 4 <= scan.states; n += 4) advance<4>(n, steps);\n"
        "      for (; n < scan.states; ++n) advance<1>(n, steps);\n",
        new="      load_tile(start, steps);\n"
        "      int64_t n = 0;\n      for (; n + 4 <= scan.states; n += 4) advance<4>(n, steps);\n"
        "      for (; n < scan.states; ++n) advance<1>(n, steps);\n"
        "      std::memcpy(checkpoint(tile), w.h, scan.states * sizeof(Lanes));\n",
        caught_by=f"{LENGTHS}[native-33-3]",
    ),
    Fault(
        name="native-group",
        file="targets/torch/runtime/selective_scan.cpp",
        what="every group of channels reads the first group's B and C",
        old="batch * array.stride[0] + group * array.stride[1] + start",
        new="batch * array.stride[0] + 0 * array.stride[1] + start",
        caught_by=f"{GROUPS}[native-40-2]",
    ),
    Fault(
        name="native-loss-step",
        file="targets/torch/runtime/rnnt_loss.cpp",
        what="the transducer loss reads label probabilities one cell off behind the first frame",
        old="alphas[left] + label[left - t])",
        new="alphas[left] + label[left])",
        caught_by=LOSS,
    ),
    Fault(
        name="native-collapse-blank",
        file="targets/torch/runtime/rnnt_loss.cpp",
        what="the gradient of the blank leaves out its share of the others' probability",
        old="v == in.blank ? to_blank - p * sum :",
        new="v == in.blank ? to_blank :",
        caught_by=CELLS,
    ),
    Fault(
        name="chunked-carry",
        file="targets/torch/runtime/selective_scan_chunked.py",
        what="the scan in torch operations starts each chunk from the state before the last one",
        old="state = states[-1].clone()",
        new="state = states[-2 if len(states) > 1 else -1].clone()",
        caught_by=f"{LENGTHS}[chunked-33-3]",
    ),
    Fault(
        name="chunked-state-gradient",
        file="targets/torch/runtime/selective_scan_chunked.py",
        what="the gradient of the last state never reaches the chunks",
        old="dstates[0] += dstate",
        new="dstates[0] += 0 * dstate",
        caught_by=f"{LENGTHS}[chunked-33-3]",
    ),
    Fault(
        name="chunked-groups",
        file="targets/torch/runtime/selective_scan_chunked.py",
        what="A is laid out as if all channels were one group",
        old="A.view(groups, -1, A.shape[1]).mT.contiguous()",
        new="A.view(-1, groups, A.shape[1]).permute(1, 2, 0).contiguous()",
        caught_by=f"{GROUPS}[chunked-40-2]",
    ),
    Fault(
        name="metal-first-state",
        file="targets/torch/runtime/selective_scan.metal",
        what="the Metal scan starts from zero whatever state it is given",
        old="HAS_H && real ? h_first[(batch * channels + channel) * STATES + n] : 0.0f",
        new="0.0f",
        caught_by=METAL_SCAN,
    ),
    Fault(
        name="metal-state-index",
        file="targets/torch/runtime/selective_scan.metal",
        what="the backward reads the stored state of the next interval",
        old="this_start / INTERVAL * channels",
        new="(this_start / INTERVAL + 1) * channels",
        caught_by=METAL_SCAN,
    ),
    Fault(
        name="metal-bias-gradient",
        file="targets/torch/runtime/selective_scan.metal",
        what="the gradient of the step size's bias is that of the last step alone",
        old="dbias[i] += d_step",
        new="dbias[i] = d_step",
        caught_by=METAL_SCAN,
    ),
    Fault(
        name="metal-loss-step",
        file="targets/torch/runtime/rnnt_loss.metal",
        what="a frame that is left without a label costs what the label would",
        old="from_above = alpha + blank_ahead[k];",
        new="from_above = alpha + label_ahead[k];",
        caught_by=METAL_LOSS,
    ),
)
