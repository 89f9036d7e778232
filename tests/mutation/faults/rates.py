"""Faults in what a call takes: frames of several rates, labels beside time, states that start from a given value."""

from __future__ import annotations

from ..fault import Fault

ALONG = "tests/streaming/test_labels.py::test_an_op_along_labels_is_refused_beside_time"
OWN_FRAMES = "tests/streaming/test_rates.py::test_every_dimension_gets_its_own_frames_for_the_chunk"
STARTED = "tests/streaming/test_states.py::test_a_stream_starts_from_a_value_that_is_given_with_every_call"
RATES = "tests/streaming/test_equals_whole.py::test_inputs_of_several_rates_come_chunk_by_chunk"

FAULTS = (
    Fault(
        name="labels-one-by-one",
        file="mctc/streaming/sizes.py",
        what="an op along labels beside time is called with one label at a time",
        old="if beside and not isinstance(op.along(Role.LABEL), Pointwise):",
        new="if beside and op.along(Role.LABEL) is None:",
        caught_by=ALONG,
    ),
    Fault(
        name="softmax-axis-forgotten",
        file="mctc/ir/ops/axis.py",
        what="an op along an axis is taken to leave labels as they are",
        old="return self.on_axis() if self.runs_along().role is role else POINTWISE",
        new="return self.on_axis() if self.runs_along().role is role is Role.TIME else POINTWISE",
        caught_by=ALONG,
    ),
    Fault(
        name="keys-of-another-axis",
        file="mctc/ir/ops/attention.py",
        what="attention to labels is taken to run along the frames of its queries",
        old="return self.behaviour() if self.k.type.sequence_role is role else POINTWISE",
        new="return self.behaviour() if self.q.type.sequence_role is role else POINTWISE",
        caught_by=ALONG,
    ),
    Fault(
        name="fixed-labels-stream",
        file="mctc/streaming/derivation.py",
        what="labels of a fixed number are taken to come one by one",
        old="return any(axis.role is self.role and axis.extent.symbols for axis in value.type.axes)",
        new="return any(axis.role is self.role for axis in value.type.axes)",
        caught_by="tests/streaming/test_labels.py::test_labels_of_two_dimensions_are_refused_unless_one_is_fixed",
    ),
    Fault(
        name="labels-joined-as-one",
        file="mctc/streaming/run.py",
        what="of several labels beside time only the first is streamed",
        old="for label in range(count)]",
        new="for label in [0] * count]",
        caught_by="tests/streaming/test_equals_whole.py::test_a_step_over_time_for_each_label_equals_the_whole",
    ),
    Fault(
        name="chunk-in-another-rate",
        file="mctc/streaming/lengths.py",
        what="every time dimension takes as many frames as the base",
        old="return Fraction(base) if rate is None or base_rate is None else base * rate / base_rate",
        new="return Fraction(base)",
        caught_by=OWN_FRAMES,
    ),
    Fault(
        name="base-is-the-slowest",
        file="mctc/streaming/lengths.py",
        what="lengths in frames count those of the slowest dimension",
        old="key=lambda symbol: (-(rate_of(program, symbol) or 0), symbol)",
        new="key=lambda symbol: ((rate_of(program, symbol) or 0), symbol)",
        caught_by=OWN_FRAMES,
    ),
    Fault(
        name="valid-at-the-base-rate",
        file="mctc/streaming/context.py",
        what="which frames of a finer input exist is told by every other one of them alone",
        old="axis=0, stride=rate.denominator)",
        new="axis=0, stride=max(1, rate.denominator // 2))",
        caught_by=RATES,
    ),
    Fault(
        name="finer-input-counted-as-base",
        file="mctc/streaming/derivation.py",
        what="a frame of a finer input counts as one of its dimension",
        old="self.timings[new] = Timing(jump=Fraction(self.chunk, self.frames(new)))",
        new="self.timings[new] = Timing()",
        caught_by="tests/streaming/test_rates.py::"
        "test_a_delay_is_counted_in_frames_of_the_input_that_is_finer_than_its_dimension",
    ),
    Fault(
        name="start-forgotten",
        file="mctc/streaming/derivation.py",
        what="a recurrent op in a stream starts from zeros whatever it is given",
        old='state if start is None else self.builder.op("add", state, start)',
        new="state",
        caught_by=STARTED,
    ),
    Fault(
        name="start-added-again",
        file="mctc/streaming/derivation.py",
        what="the given start is added to the state in every call",
        old='end if start is None else self.builder.op("sub", end, start)',
        new="end",
        caught_by=STARTED,
    ),
    Fault(
        name="distances-between-rates",
        file="mctc/ir/ops/attention.py",
        what="an attention with bounds counts frames of one rate in those of another",
        old="return self.given or q.axes[q.sequence] == k.axes[k.sequence]",
        new="return q.axes[q.sequence].role is k.axes[k.sequence].role",
        caught_by="tests/ir/ops/test_inference.py",
    ),
    Fault(
        name="lengths-of-another-rate",
        file="mctc/proof/padded.py",
        what="lengths of a padded batch count the dimension, where the module counts a finer input",
        old="int(size[symbol] * _most(function, symbol))",
        new="int(size[symbol])",
        caught_by="tests/targets/torch/test_rates.py::test_every_rung_of_a_torch_build_holds",
    ),
    Fault(
        name="finer-frames-encoded-twice",
        file="mctc/runtime/encoder.py",
        what="an encoder of a finer input gives out frames that were never heard",
        old="return -(-self._heard * (self.output.frames or 1) // self.chunk)",
        new="return -(-self._heard // int(self.output.jump))",
        caught_by="tests/runtime/test_rates.py::test_an_encoder_of_a_finer_input_streams_what_the_whole_function_gives",
    ),
    Fault(
        name="labels-stay-rows",
        file="passes/layout.py",
        what="an op along labels beside time finds them where features are",
        old="over_labels=self.over_labels or type_.find(Role.TIME) is None",
        new="over_labels=self.over_labels",
        caught_by="tests/passes/test_channels_first.py::"
        "test_labels_beside_time_stand_last_for_an_op_that_runs_along_them",
    ),
    Fault(
        name="padding-among-scores",
        file="mctc/runtime/pooled.py",
        what="the entries that pad a vocabulary are among the scores of an utterance",
        old="if axis is not None:",
        new="if axis is not None and False:",
        caught_by="tests/runtime/test_pooled.py::test_the_results_are_those_of_the_whole_function",
    ),
)
