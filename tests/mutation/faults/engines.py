"""Faults in the emitters for onnxruntime and for Core AI, whose own engines run what is written."""

from __future__ import annotations

from ..fault import Fault

ONNX = "tests/targets/onnx/test_ops.py"
OPS = f"{ONNX}::test_an_op_computes_what_its_reference_does"
CARRIED = f"{ONNX}::test_states_are_carried_and_frames_that_do_not_exist_leave_them"
RANDOM = "tests/targets/onnx/test_random_programs.py::test_a_program_over_time_whole"
CORE_AI = "tests/targets/coreai/test_rules.py::test_in_fp32_an_op_is_what_the_reference_says"
ASSET = "tests/targets/coreai/test_asset.py"

FAULTS = (
    Fault(
        name="onnx-lstm-gates",
        file="targets/onnx/rules/recurrent.py",
        what="an LSTM's gates are left in the IR's order, which ONNX's is not",
        old="LSTM_GATES = (0, 3, 1, 2)",
        new="LSTM_GATES = (0, 1, 2, 3)",
        caught_by=CARRIED,
    ),
    Fault(
        name="onnx-gru-reset",
        file="targets/onnx/rules/recurrent.py",
        what="a GRU resets its state before the product, not behind it",
        old="linear_before_reset=1",
        new="linear_before_reset=0",
        caught_by=RANDOM,
    ),
    Fault(
        name="onnx-mask-inverted",
        file="targets/onnx/rules/recurrent.py",
        what="frames that do not exist move the state of a cell, those that do leave it",
        old='e.node("Where", slices[1], after, before)',
        new='e.node("Where", slices[1], before, after)',
        caught_by=CARRIED,
    ),
    Fault(
        name="onnx-scan-skip",
        file="targets/onnx/rules/scan.py",
        what="the skip term of a selective scan is not multiplied by its input",
        old='y = e.node("Add", y, e.node("Mul", u, e.ref(skip)))',
        new='y = e.node("Add", y, e.ref(skip))',
        caught_by=CARRIED,
    ),
    Fault(
        name="onnx-pad-order",
        file="targets/onnx/rules/convolution.py",
        what="padding is written axis by axis, where ONNX wants all beginnings first",
        old="(top, left, bottom, right)",
        new="(top, bottom, left, right)",
        caught_by=RANDOM,
    ),
    Fault(
        name="onnx-linear-transposed",
        file="targets/onnx/rules/linear.py",
        what="the weight of a linear layer is written as it is, not transposed",
        old='e.node("MatMul", name, e.transposed(e.ref(weight), [1, 0]))',
        new='e.node("MatMul", name, e.ref(weight))',
        caught_by=OPS,
    ),
    Fault(
        name="onnx-attention-band",
        file="targets/onnx/rules/attention.py",
        what="attention sees one frame more behind it than it may",
        old='e.node("GreaterOrEqual", offset, e.ints([-left]))',
        new='e.node("GreaterOrEqual", offset, e.ints([-left - 1]))',
        caught_by=f"{ONNX}::test_attention_sees_its_band_of_the_keys_that_exist",
    ),
    Fault(
        name="onnx-extent",
        file="targets/onnx/sizes.py",
        what="a symbol that inputs have in parts only is taken for the part",
        old="return made if times.denominator == 1 else",
        new="return over if times.denominator == 1 else",
        caught_by=f"{ONNX}::test_an_extent_is_solved_from_the_inputs_that_have_a_part_of_it",
        hole="no model under test had to compute an extent when it runs",
    ),
    Fault(
        name="onnx-palette-starts",
        file="targets/onnx/weights.py",
        what="all groups of output channels read the first palette",
        old="np.arange(groups, dtype=np.int32) * entries",
        new="np.arange(groups, dtype=np.int32) * 0 * entries",
        caught_by="tests/targets/onnx/test_weights.py::test_a_parameter_is_stored_as_in_a_package_and_has_its_bits",
    ),
    Fault(
        name="core-ai-conv-bias",
        file="targets/coreai/rules/convolution.py",
        what="convolutions lose their bias",
        old="return y if op.bias is None else ca.",
        new="return y if op.bias is None or True else ca.",
        caught_by=CORE_AI,
    ),
    Fault(
        name="core-ai-pad-side",
        file="targets/coreai/rules/convolution.py",
        what="convolutions are padded on the other side",
        old="(*op.pad_feature, *op.pad)",
        new="(*op.pad_feature, *op.pad[::-1])",
        caught_by=CORE_AI,
    ),
    Fault(
        name="core-ai-softplus-series",
        file="targets/coreai/rules/elementwise.py",
        what="the series behind softplus ends two terms early in fp32",
        old="np.float32: 8}",
        new="np.float32: 3}",
        caught_by=CORE_AI,
    ),
    Fault(
        name="core-ai-turned",
        file="targets/coreai/rules/linear.py",
        what="a factor that is to be transposed is not",
        old="_turned(value, rank, turn, e) for value, turn in zip((left, right), turns)",
        new="_turned(value, rank, False, e) for value, turn in zip((left, right), turns)",
        caught_by=CORE_AI,
    ),
    Fault(
        name="core-ai-slice-stride",
        file="targets/coreai/rules/shape.py",
        what="slices lose their stride",
        old="signed(bounds.stride)",
        new="signed([1] * len(bounds.stride))",
        caught_by=CORE_AI,
    ),
    Fault(
        name="core-ai-operands-swapped",
        file="targets/coreai/rules/elementwise.py",
        what="the operands of sub and div change places",
        old="zip(e.broadcast(op), (left, right))",
        new="zip(reversed(e.broadcast(op)), (left, right))",
        caught_by=CORE_AI,
    ),
    Fault(
        name="core-ai-state-stale",
        file="targets/coreai/dialect.py",
        what="every state is written with what the first one holds",
        old="updates[name]._to_mlir()",
        new="updates[self._states[0]]._to_mlir()",
        caught_by=f"{ASSET}::test_states_in_every_form_agree_over_chained_calls",
    ),
    Fault(
        name="core-ai-codes-packed",
        file="targets/coreai/dialect.py",
        what="the first of several codes in a byte lies in the highest bits",
        old="np.arange(0, 8, bits, dtype=np.uint8)",
        new="np.arange(0, 8, bits, dtype=np.uint8)[::-1]",
        caught_by="tests/targets/coreai/test_compressed_weights.py::test_the_first_code_lies_in_the_lowest_bits",
    ),
    Fault(
        name="looked-up-row-off-by-one",
        file="mctc/driver/tables.py",
        what="the table that an app looks rows up in begins with the second row",
        old="table[:ids].astype(",
        new="table[1:][:ids].astype(",
        caught_by="tests/driver/test_tables.py::test_the_table_has_a_row_for_every_id_and_is_not_in_the_package",
    ),
    Fault(
        name="looked-up-table-in-fp16",
        file="mctc/ir/lookups.py",
        what="a table that the spec has stored in fp32 is looked up in fp16",
        old="return program.parameters[lookup.table].wide if lookup.constant is None",
        new="return False if lookup.constant is None",
        caught_by="tests/driver/test_tables.py::test_a_table_asked_in_fp32_is_looked_up_in_fp32[stored-ane]",
    ),
    Fault(
        name="looked-up-table-in-the-package",
        file="mctc/ir/lookups.py",
        what="the table of a lookup that is left to the app is in the package as well",
        old="if op not in left and not (left and unread):",
        new="if op not in left:",
        caught_by="tests/ir/test_lookups.py::test_an_artifact_takes_rows_under_the_name_of_the_ids_and_has_no_table",
    ),
    Fault(
        name="one-hot-of-ids-beyond-fp16",
        file="passes/lower_embedding.py",
        what="a table whose ids fp16 rounds becomes a one-hot product",
        old="if ids > LARGEST_EXACT + 1:",
        new="if ids > 2 * LARGEST_EXACT:",
        caught_by="tests/passes/test_lower_embedding.py::test_the_lookup_of_ids_beyond_fp16_is_left_to_the_app_and_says_why",
    ),
)
