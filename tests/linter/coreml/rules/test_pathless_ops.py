"""Which ops are off the engine, which are in doubt, and that lists and rules agree on it."""

from __future__ import annotations

from dataclasses import replace
from inspect import cleandoc

import pytest

from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.placement import Eligible
from mctc.linter.coreml.rule import Effect, OpRule, Severity
from mctc.linter.coreml.support import CONTESTED, KNOWN, REFUSED, SUPPORTED
from mctc.linter.coreml.table import Table
from mctc.package import NamedType, Operation, Reference, TensorType
from tests.linter.coreml.conftest import Check, Messages


def words(text: str) -> set[str]:
    return set(text.split())


# Section 3 of the collected placement facts: what the sources that tested an op say.
DENIED = words(
    "lstm gru rnn band_part one_hot non_zero cumsum argsort mod reduce_prod scatter scatter_along_axis scatter_nd "
    "sliding_windows reverse_sequence acos asin atanh cosh sinh tan random_normal random_uniform random_bernoulli "
    "random_categorical cond while_loop shape reduce_argmax reduce_argmin crop_resize range_1d"
)
DOUBTFUL = words(
    "non_maximum_suppression slice_update read_state coreml_update_state topk logical_and logical_or logical_xor"
)
CONDITIONAL = words("cast gather gather_nd gather_along_axis slice_by_size slice_by_index resample affine sin cos pad")
ALLOWED = words(
    "relu relu6 sigmoid tanh silu gelu softplus softsign erf exp exp2 log sqrt rsqrt inverse sin cos atan floor ceil "
    "round sign square abs clip elu prelu leaky_relu sigmoid_hard thresholded_relu logical_not add sub mul real_div "
    "floor_div pow maximum minimum equal not_equal greater greater_equal less less_equal select conv conv_transpose "
    "linear matmul einsum scaled_dot_product_attention avg_pool max_pool l2_pool softmax layer_norm instance_norm "
    "batch_norm l2_norm local_response_norm reduce_sum reduce_mean reduce_max reduce_min reduce_l1_norm reduce_l2_norm "
    "reduce_log_sum reduce_log_sum_exp reduce_sum_square reshape transpose expand_dims squeeze concat split stack "
    "reverse tile pad space_to_depth depth_to_space space_to_batch batch_to_space pixel_shuffle pixel_unshuffle "
    "upsample_bilinear upsample_nearest_neighbor resize_bilinear resize_nearest_neighbor resize resample affine "
    "quantize dequantize"
)


def subjects(rules: Table, effect: Effect) -> set[str]:
    return {
        name for rule in rules.rules.values() if isinstance(rule, OpRule) and rule.effect is effect for name in rule.ops
    }


def test_every_list_has_the_ops_that_the_sources_put_there() -> None:
    assert DENIED <= REFUSED
    assert DOUBTFUL <= CONTESTED
    assert ALLOWED | CONDITIONAL <= SUPPORTED


def test_no_op_is_on_two_lists() -> None:
    assert not SUPPORTED & CONTESTED
    assert not SUPPORTED & REFUSED
    assert not CONTESTED & REFUSED


OF_FUNCTIONS = {
    "shape", "reshape_like", "cond", "while_loop", "make_list", "list_length", "list_write", "list_read",
    "list_gather", "list_scatter",
}  # fmt: skip
"""What ANE-OP-019 and ANE-OP-021 put off, which look at functions."""


def test_every_refused_op_has_a_rule_that_puts_it_off_the_engine(rules: Table) -> None:
    assert subjects(rules, Effect.OFF) | OF_FUNCTIONS >= REFUSED


def test_every_contested_op_has_a_rule_that_doubts_it(rules: Table) -> None:
    assert subjects(rules, Effect.DOUBT) >= CONTESTED


def test_ops_without_a_path_are_all_listed(rules: Table) -> None:
    family = next(each for each in rules.families if each.name == "pathless-ops")
    named = {name for rule in family.rules if isinstance(rule, OpRule) for name in rule.ops}
    assert named <= KNOWN


@pytest.mark.parametrize("name", sorted(REFUSED - {"reshape_like"}))
def test_a_refused_op_is_not_eligible_whatever_its_operands(check: Check, name: str) -> None:
    report = check(f"x: fp16[1, 64]\ny: fp16[1, 64] = {name}(x=x)\nreturn y")
    assert [row.eligible for row in report.functions[0].ops] == [Eligible.NO]


@pytest.mark.parametrize("name", sorted(CONTESTED))
def test_a_contested_op_is_neither_eligible_nor_refused(check: Check, name: str) -> None:
    report = check(f"x: fp16[1, 64]\ny: fp16[1, 64] = {name}(x=x)\nreturn y")
    assert [row.eligible for row in report.functions[0].ops] == [Eligible.CONTESTED]


@pytest.mark.parametrize("name", sorted(ALLOWED - {"sin", "cos", "resample", "affine"}))
def test_an_allowed_op_has_no_finding_of_this_family(check: Check, name: str) -> None:
    report = check(f"x: fp16[1, 64]\ny: fp16[1, 64] = {name}(x=x)\nreturn y")
    assert not [each.rule.code for each in report.findings if each.rule.code.startswith("ANE-OP")]


@pytest.mark.parametrize(("device", "doubted"), [("m1", True), ("m2", True), ("m3", False), ("m4", False)])
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sines_are_doubted_up_to_the_m2(messages: Messages, name: str, device: str, doubted: bool) -> None:
    text = f"x: fp16[1, 64]\ny: fp16[1, 64] = {name}(x=x)\nreturn y"
    assert bool(messages("ANE-OP-012", text, device=device)) is doubted


@pytest.mark.parametrize(("device", "doubted"), [("m1", True), ("m3", True), ("m4", False), ("a17 pro", False)])
def test_sampling_is_doubted_up_to_the_m3(messages: Messages, device: str, doubted: bool) -> None:
    text = "x: fp16[1, 3, 64, 64]\nc: fp16[1, 8, 8, 2]\ny: fp16[1, 3, 8, 8] = resample(x=x, coordinates=c)\nreturn y"
    assert bool(messages("ANE-OP-026", text, device=device)) is doubted


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ("2048", "non_maximum_suppression is likely the CPU's"),
        ("2049", "non_maximum_suppression of 2049 boxes: Apple's compiler refuses more than 2048"),
        ("_", "non_maximum_suppression is likely the CPU's"),
    ],
)
def test_a_suppression_of_too_many_boxes_says_how_many(messages: Messages, boxes: str, said: str) -> None:
    text = f"b: fp16[1, {boxes}, 4]\ny: fp16[1, 9, 4] = non_maximum_suppression(boxes=b, scores=b)\nreturn y"
    assert messages("ANE-OP-018", text) == [said]


@pytest.mark.parametrize("op", ["gather", "gather_nd", "gather_along_axis"])
@pytest.mark.parametrize(("indices", "found"), [("i", True), ("[0, 3, 9]", False), ("int32[3]", False)])
def test_a_lookup_by_indices_made_at_run_time_is_refused_or_in_doubt(
    messages: Messages, op: str, indices: str, found: bool
) -> None:
    text = f"x: fp16[1, 64]\ni: int32[3]\ny: fp16[1, 3] = {op}(x=x, indices={indices}, axis=1)\nreturn y"
    assert bool(messages("ANE-OP-022", text)) is (found and op == "gather")
    assert bool(messages("ANE-OP-022c", text)) is (found and op != "gather")


def test_topk_on_the_engine_takes_milliseconds_whatever_is_estimated(messages: Messages, rules: Table) -> None:
    text = rules.rules["ANE-OP-020b"].fires
    said = ["topk on the engine, where Core ML estimates 0.03 ms: an M4 took 6 to 10 ms"]
    assert messages("ANE-OP-020b", text, device="m4") == said
    assert not messages("ANE-OP-020b", text, device="m6")
    assert not messages("ANE-OP-020b", "x: fp16[1, 9]\ny: (fp16[1, 1], int32[1, 1]) = topk(x=x, k=1)\nreturn y")


def test_indices_of_the_run_time_are_what_gather_nd_gets_wrong(messages: Messages) -> None:
    text = "x: fp16[1, 64]\ni: int32[1, 2]\ny: fp16[1] = gather_nd(x=x, indices=i)\nreturn y"
    assert messages("ANE-OP-022b", text, system="ios18")
    assert messages("ANE-OP-022b", text, system="macos15")
    assert not messages("ANE-OP-022b", text.replace("indices=i", "indices=[[0, 3]]"))


@pytest.mark.parametrize(
    ("operands", "refused"),
    [
        ("begin=b, size=[1, 16]", True),
        ("begin=[0, 8], size=[1, 16]", False),
        ("size=[1, 16]", False),
    ],
)
def test_a_slice_is_refused_for_a_place_made_at_run_time(messages: Messages, operands: str, refused: bool) -> None:
    text = f"x: fp16[1, 64]\nb: int32[2]\ny: fp16[1, 16] = slice_by_size(x=x, {operands})\nreturn y"
    assert bool(messages("ANE-OP-024", text)) is refused


@pytest.mark.parametrize(("mask", "refused"), [("[True, True]", False), ("[True, False]", True)])
def test_a_place_that_is_masked_away_does_not_matter(messages: Messages, mask: str, refused: bool) -> None:
    text = f"""
        x: fp16[1, 64]
        b: int32[2]
        y: fp16[1, 16] = slice_by_index(x=x, begin=b, end=[1, 16], begin_mask={mask})
        return y
    """
    assert bool(messages("ANE-OP-024", text)) is refused


@pytest.mark.parametrize(
    ("indices", "found"),
    [("3", True), ("[2, 3, 4]", True), ("[0, 8, 16]", True), ("[4, 3, 2]", False), ("[1, 1]", False), ("i", False),
     ("fp16[3]", False), ("int32[5000]", False)],
)  # fmt: skip
def test_evenly_spaced_constant_indices_are_a_slice(messages: Messages, indices: str, found: bool) -> None:
    text = f"x: fp16[1, 64]\ni: int32[3]\ny: fp16[1, 3] = gather(x=x, indices={indices}, axis=1)\nreturn y"
    assert bool(messages("ANE-OP-023", text)) is found


@pytest.mark.parametrize(
    ("operands", "said"),
    [
        ("k=40, axis=-1", "topk with k=40 of 32000: seen on the engine and off it"),
        ("k=40", "topk with k=40 of 32000: seen on the engine and off it"),
        ("k=1, axis=7", "topk with k=1: seen on the engine and off it"),
    ],
)
def test_topk_says_how_many_of_how_many(messages: Messages, operands: str, said: str) -> None:
    text = f"x: fp16[1, 32000]\ny: (fp16[1, 40], int32[1, 40]) = topk(x=x, {operands})\nreturn y"
    assert messages("ANE-OP-020", text) == [said]


@pytest.mark.parametrize(
    ("begin", "said"),
    [
        ("[0, 8]", "slice_update at a fixed place: contested"),
        ("b", "only known at run time: contested, and likely off"),
    ],
)
def test_an_update_says_whether_its_place_is_fixed(messages: Messages, begin: str, said: str) -> None:
    text = f"""
        x: fp16[1, 64]
        u: fp16[1, 8]
        b: int32[2]
        y: fp16[1, 64] = slice_update(x=x, update=u, begin={begin}, end=[1, 16])
        return y
    """
    assert said in messages("ANE-OP-025", text)[0]


def test_a_shape_worked_out_at_run_time_is_one_error_with_all_that_follows(check: Check) -> None:
    text = """
        x: fp16[1, 4:64]
        s: int32[2] = shape(x=x)
        n: int32 = gather(x=s, indices=1, axis=0)
        m: int32 = floor_div(x=n, y=4)
        q: int32 = real_div(x=n, y=m)
        v: int32[2] = stack(values=[m, q], axis=0)
        y: fp16[_, _] = reshape(x=x, shape=v)
        z: fp16[_, _] = reshape(x=y, shape=[1, -1])
        return z
    """
    report = check(text)
    (error,) = [each for each in report.findings if each.severity is Severity.ERROR and each.rule.code != "ANE-SH-107"]
    assert error.rule.code == "ANE-OP-019"
    said = "a shape is worked out at run time, and used by gather, floor_div, real_div, stack and 1 more"
    assert error.message.startswith(said)
    rows = report.functions[0].ops
    assert [row.eligible for row in rows] == [Eligible.NO] * 6 + [Eligible.CONTESTED]
    assert all("ANE-OP-019" in row.rules for row in rows[:6])


def test_a_shape_from_elsewhere_is_told_at_the_reshape(messages: Messages) -> None:
    text = """
        x: fp16[4, 4]
        s: int32[2]
        y: fp16[_, _] = reshape(x=x, shape=s)
        return y
    """
    assert messages("ANE-OP-019", text) == ["reshape to a shape that is only known at run time"]


def test_heads_repeated_by_expand_are_no_repeat_interleave(messages: Messages) -> None:
    text = """
        x: fp16[1, 8, 128, 64]
        e: fp16[1, 8, 1, 128, 64] = expand_dims(x=x, axes=[2])
        t: fp16[1, 8, 4, 128, 64] = tile(x=e, reps=[1, 1, 4, 1, 1])
        y: fp16[1, 32, 128, 64] = reshape(x=t, shape=[1, 32, 128, 64])
        return y
    """
    assert not messages("ANE-OP-028", text)


def test_a_label_lookup_is_no_error(check: Check) -> None:
    text = 'x: fp16[1, 10]\ny: string = classify(probabilities=x, classes="labels")\nreturn y'
    assert {each.severity.value for each in check(text).findings if each.rule.code == "ANE-OP-027"} == {"info"}


def test_a_loop_is_one_error_with_its_lists_and_what_is_inside(rules: Table) -> None:
    package = read_notation(
        cleandoc("""
        x: fp16[4, 8]
        n: int32 = reduce_sum(x=x, axes=[0, 1], keep_dims=False)
        l: fp16[8] = make_list(init_length=n, elem_shape=[8])
        y: fp16[8] = while_loop(loop_vars=[n, l])
        z: fp16[4, 8] = list_gather(ls=y, indices=[0, 1, 2, 3])
        return z
        """)
    )
    (operation,) = [each for each in package.functions["main"].operations if each.type == "while_loop"]
    inner = Operation(99, "add", "count", {"x": (Reference("n"),)}, (NamedType("m", TensorType("int32", ())),), {})
    changed = replace(operation, blocks=(operation.blocks[0], replace(operation.blocks[1], operations=(inner,))))
    body = package.functions["main"].body
    operations = tuple(changed if each is operation else each for each in body.operations)
    function = replace(package.functions["main"], body=replace(body, operations=operations))
    report = check_package(replace(package, functions={"main": function}), rules.rules.values())
    errors = [(each.rule.code, each.op) for each in report.findings if each.severity is Severity.ERROR]
    assert errors == [("ANE-DT-004", "n"), ("ANE-OP-021", "y")]
    off = {row.type for row in report.functions[0].ops if row.eligible is Eligible.NO}
    assert off == {"reduce_sum", "make_list", "while_loop", "add", "list_gather"}


def test_a_list_without_a_loop_is_an_error_of_its_own(messages: Messages) -> None:
    text = "x: fp16[8]\nl: fp16[8] = make_list(init_length=1, elem_shape=[8])\nreturn x"
    assert messages("ANE-OP-021", text) == ["make_list never runs on the Neural Engine"]
