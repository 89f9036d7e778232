"""Faults in what inputs may be: domains, masks with a row for each utterance, inputs that are no floats."""

from __future__ import annotations

from ..fault import Fault

MASKS = "tests/runtime/test_masks.py"

FAULTS = (
    Fault(
        name="mask-drawn-as-noise",
        file="mctc/language/elaborate.py",
        what="an input that is the mask of an op may be any number",
        old="{**mask_domains(function), **id_domains(function), **domains}",
        new="{**id_domains(function), **domains}",
        caught_by="tests/language/test_domains.py::test_what_an_op_takes_as_its_mask_is_0_or_1_unasked",
    ),
    Fault(
        name="id-drawn-beyond-table",
        file="mctc/ir/table_ids.py",
        what="the last id has no row in the table",
        old="Interval(0, rows, (False, True), whole=True)",
        new="Interval(0, rows, whole=True)",
        caught_by="tests/language/test_domains.py::test_ids_of_which_nothing_is_said_end_with_their_tables",
    ),
    Fault(
        name="domain-end-included",
        file="mctc/ir/domain.py",
        what="an input that is said to be above 0 may be 0",
        old="above = array > self.low if self.excluded[0] else array >= self.low",
        new="above = array >= self.low",
        caught_by="tests/ir/test_domain.py",
    ),
    Fault(
        name="run-ids-unchecked",
        file="mctc/runtime/fed.py",
        what="`mctc run` takes ids that are not below their bound",
        old="return None if ids is None else Interval(0, ids, (False, True), whole=True)",
        new="return None",
        caught_by="tests/runtime/test_fed.py::test_an_entry_that_the_spec_rules_out_is_named",
    ),
    Fault(
        name="valid-of-any-number",
        file="mctc/streaming/derivation.py",
        what="a step does not say that which frames exist is told by 0 and 1",
        old="domains[VALID] = MASK",
        new="pass",
        caught_by="tests/streaming/test_steps.py::test_a_step_says_what_its_inputs_may_be",
    ),
    Fault(
        name="reference-mask-by-position",
        file="mctc/ir/ops/mask.py",
        what="a mask [frames, batch] is read as [batch, frames]",
        old="moved = np.transpose(marks, order)",
        new="moved = np.reshape(marks, [np.shape(marks)[axis] for axis in order])",
        caught_by="tests/ir/ops/test_masks.py::test_the_axes_of_a_mask_meet_by_role",
    ),
    Fault(
        name="module-mask-row",
        file="targets/torch/runtime/recurrent.py",
        what="every utterance of a batch has the first one's mask in a recurrent cell",
        old="rows = mask.reshape(-1, seen.shape[0]).expand",
        new="rows = mask.reshape(-1, seen.shape[0])[:1].expand",
        caught_by=f"{MASKS}::test_each_utterance_of_a_batch_has_its_row",
    ),
    Fault(
        name="module-key-mask-row",
        file="targets/torch/runtime/attention.py",
        what="every utterance of a batch has the first one's mask in attention",
        old="key_mask.reshape(-1, k.shape[-2])",
        new="key_mask.reshape(-1, k.shape[-2])[:1]",
        caught_by=f"{MASKS}::test_each_utterance_of_a_batch_has_its_row",
    ),
    Fault(
        name="onnx-mask-rows-mixed",
        file="targets/onnx/rules/mask.py",
        what="a mask's frames and utterances change places in an ONNX model",
        old="name = e.transposed(e.ref(value), order)",
        new="name = e.transposed(e.ref(value), [*range(1, value.type.rank), 0])",
        caught_by=f"{MASKS}::test_each_utterance_of_a_batch_has_its_row",
    ),
    Fault(
        name="whole-numbers-rounded",
        file="passes/number_inputs.py",
        what="whole numbers that fp16 rounds are fed as floats",
        old="LARGEST_EXACT = 2048",
        new="LARGEST_EXACT = 65504",
        caught_by="tests/passes/test_number_inputs.py::test_other_whole_numbers_stay",
    ),
    Fault(
        name="true-of-any-number",
        file="passes/number_inputs.py",
        what="a cast to true and false is dropped where a float takes its place",
        old="return self.op(Cast, self.op(Cast, x, dtype=DType.BOOL.value), dtype=DType.F32.value)",
        new="return x",
        caught_by="tests/passes/test_number_inputs.py::test_what_is_not_zero_stays_between_two_casts",
    ),
)
