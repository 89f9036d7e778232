"""Faults in the emitter of PyTorch modules and in the layers that they are built of."""

from __future__ import annotations

from ..fault import Fault

TEXT = "tests/targets/torch/test_expressions.py"
OPS = f"{TEXT}::test_an_op_computes_what_its_reference_does"
STEPS = f"{TEXT}::test_a_step_written_at_one_chunk_length_works_at_every_other"
PROGRAMS = f"{TEXT}::test_a_random_program_over_time_computes_what_its_references_do"
FUSION = "tests/targets/torch/test_scan_fusion.py"
LAYERS = "tests/targets/torch/test_layers.py"
FUNCTIONS = "tests/targets/torch/test_functional.py"
QUANTISED = "tests/targets/torch/test_fake_quantize.py::test_the_weight_is_the_one_that_the_package_holds"

FAULTS = (
    Fault(
        name="module-slice-from-the-end",
        file="targets/torch/expressions/shape.py",
        what="a state's update in a step is counted from the start: wrong for another length of chunk",
        old="begin = begin - extent.value if begin and end is None else begin",
        new="begin = begin",
        caught_by=STEPS,
    ),
    Fault(
        name="module-pad-order",
        file="targets/torch/expressions/shape.py",
        what="F.pad gets its widths for the first axis, not the last",
        old="widths = (0, 0) * (rank - 1 - axis) + (before, after)",
        new="widths = (0, 0) * axis + (before, after)",
        caught_by=f"{OPS}[pad-0]",
    ),
    Fault(
        name="module-split-sizes",
        file="targets/torch/expressions/shape.py",
        what="parts of given sizes are cut in reverse order",
        old='x.method("split", list(sizes), dim=axis)',
        new='x.method("split", list(sizes)[::-1], dim=axis)',
        caught_by=f"{OPS}[split-1]",
    ),
    Fault(
        name="module-split-channels",
        file="targets/torch/expressions/shape.py",
        what="channels are split into features without the feature going before the channel",
        old='return parts.method("transpose", at, at + 1)',
        new="return parts",
        caught_by=OPS,
    ),
    Fault(
        name="module-conv-bias",
        file="targets/torch/expressions/sequence.py",
        what="a convolution with computed weights loses its bias",
        old='return call(named(function), x, weight, *use.given("bias").values(), **keywords)',
        new="return call(named(function), x, weight, **keywords)",
        caught_by=PROGRAMS,
    ),
    Fault(
        name="module-attention-reach",
        file="targets/torch/expressions/sequence.py",
        what="attention is written without its limit on the right: it sees the future",
        old='for name in ("left", "right"):',
        new='for name in ("left",):',
        caught_by=f"{OPS}[attention-0]",
    ),
    Fault(
        name="module-offset-sign",
        file="targets/torch/expressions/elementwise.py",
        what="a negative offset is added",
        old='binary(y, "-" if offset < 0 else "+", number(abs(offset)), Binds.SUM)',
        new='binary(y, "+", number(abs(offset)), Binds.SUM)',
        caught_by=f"{TEXT}::test_an_op_reads_as_one_would_write_it",
    ),
    Fault(
        name="module-broadcast",
        file="targets/torch/expressions/elementwise.py",
        what="operands that meet by role are left to meet by position",
        old="if Role.PLAIN in type_.roles or type_.rank == 0 or (type_.rank == len(axes) and fits):",
        new="if Role.PLAIN in type_.roles or type_.rank < len(axes) or (type_.rank == len(axes) and fits):",
        caught_by=f"{TEXT}::test_axes_meet_by_role",
    ),
    Fault(
        name="module-epsilon",
        file="targets/torch/expressions/channel.py",
        what="rms_norm gets torch's epsilon, which depends on the type",
        old='stated = epsilon if use.op.name == "layer_norm" else {"eps": use.attribute("epsilon")}',
        new="stated = epsilon",
        caught_by=f"{OPS}[rms_norm-0]",
    ),
    Fault(
        name="module-mask-value",
        file="targets/torch/expressions/channel.py",
        what="padding counts as 0 in a maximum over time",
        old='"reduce_max": ("amax", -math.inf)',
        new='"reduce_max": ("amax", 0.0)',
        caught_by=f"{FUNCTIONS}::test_a_padded_batch_gives_what_each_utterance_gives_alone",
    ),
    Fault(
        name="module-recipe-order",
        file="targets/torch/held.py",
        what="a parameter that is computed from several tensors takes them in reverse order",
        old="texts = [None if each is None else _computed(each, stored) for each in recipe.operands]",
        new="texts = [None if each is None else _computed(each, stored) for each in recipe.operands[::-1]]",
        caught_by="tests/targets/torch/test_computed_parameters.py",
        hole="no parameter under test was computed from more than one tensor",
    ),
    Fault(
        name="module-gate-fused",
        file="targets/torch/scan_fusion.py",
        what="any product after a scan is drawn in as its gate",
        old='z = silu.operands[0] if silu is not None and silu.name == "silu" else None',
        new="z = silu.operands[0] if silu is not None and silu.operands else None",
        caught_by=f"{FUSION}::test_only_softplus_and_a_gate_by_silu_are_drawn_in",
        hole="no scan under test was gated by anything but silu",
    ),
    Fault(
        name="module-softplus-unmasked",
        file="targets/torch/scan_fusion.py",
        what="the step sizes of a masked scan are masked before the softplus, which makes them log 2",
        old='softplus.name == "softplus" and not masked:',
        new='softplus.name == "softplus":',
        caught_by=f"{FUSION}::test_the_last_state_of_a_padded_batch_is_that_of_each_utterance",
        hole="no batch under test read the last state of a scan",
    ),
    Fault(
        name="layer-pad-side",
        file="targets/torch/runtime/layers.py",
        what="Conv2d pads time on the other side",
        old="x, before, low = F.pad(x, (before, after, low, high)), 0, 0",
        new="x, before, low = F.pad(x, (after, before, low, high)), 0, 0",
        caught_by=f"{LAYERS}::test_a_layer_computes_what_its_op_does[causal]",
    ),
    Fault(
        name="layer-gate-order",
        file="targets/torch/runtime/recurrence_op.py",
        what="a masked or compiled LSTM reads its gates in another order than the fused one",
        old="i, f, g, o = torch.addmm(frame, h, weight_hh.T).chunk(4, -1)",
        new="f, i, g, o = torch.addmm(frame, h, weight_hh.T).chunk(4, -1)",
        caught_by=f"{FUNCTIONS}::test_a_padded_batch_gives_what_each_utterance_gives_alone",
    ),
    Fault(
        name="layer-gru-backward",
        file="targets/torch/runtime/recurrence_op.py",
        what="the written-out gradient of a GRU forgets the reset gate before the product with the state",
        old="seen = torch.cat([torch.ones_like(update), torch.ones_like(update), reset], -1)",
        new="seen = torch.cat([torch.ones_like(update), torch.ones_like(update), torch.ones_like(reset)], -1)",
        caught_by=f"{FUNCTIONS}::test_it_compiles_to_one_graph_and_differentiates[gru]",
    ),
    Fault(
        name="layer-attention-band",
        file="targets/torch/runtime/attention.py",
        what="a step's queries are placed at the first of their given keys",
        old="first = left if given and left is not None else 0\n    query",
        new="first = 0\n    query",
        caught_by=STEPS,
    ),
    Fault(
        name="layer-masked-mean",
        file="targets/torch/runtime/functional.py",
        what="a mean over time divides by the frames of the batch, not of the utterance",
        old="share = x.shape[axis] / exist.sum(axis, keepdim=True).clamp(min=1)",
        new="share = 1 / exist.sum(axis, keepdim=True).clamp(max=1)",
        caught_by=f"{FUNCTIONS}::test_a_padded_batch_gives_what_each_utterance_gives_alone",
    ),
    Fault(
        name="layer-reverse",
        file="targets/torch/runtime/functional.py",
        what="an utterance is reversed with its padding",
        old="source = torch.where(exist, length - 1 - at, at)",
        new="source = torch.where(exist, x.shape[axis] - 1 - at, at)",
        caught_by=f"{FUNCTIONS}::test_a_padded_batch_gives_what_each_utterance_gives_alone",
    ),
    Fault(
        name="fake-quantised-levels",
        file="targets/torch/runtime/fake_quantize.py",
        what="training sees int4 with sixteen levels, the package holds fifteen",
        old='LEVELS = {"int8": 127, "int4": 7}',
        new='LEVELS = {"int8": 127, "int4": 8}',
        caught_by=QUANTISED,
    ),
    Fault(
        name="fake-quantised-axis",
        file="targets/torch/runtime/fake_quantize.py",
        what="training sees palettes of groups of rows where the package has groups of columns",
        old="channels_first = half.movedim(how.axis, 0)",
        new="channels_first = half.movedim(0, 0)",
        caught_by=QUANTISED,
    ),
    Fault(
        name="joint-loss-sees-padding",
        file="targets/torch/joint_objective.py",
        what="the decoder attends to frames behind the end of an utterance",
        old='f"valid = valid_frames(features, lengths{',
        new='f"valid = valid_frames(features, None{',
        caught_by="tests/targets/torch/test_joint_objective.py::test_a_padded_batch_costs_what_its_utterances_cost_one_by_one",
    ),
)
