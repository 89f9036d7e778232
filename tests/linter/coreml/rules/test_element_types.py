"""What is said of fp32 and int32, and what isn't."""

from __future__ import annotations

import pytest

from mctc.linter.coreml.rule import Severity
from tests.linter.coreml.conftest import Check, Messages

CASTS_AT_THE_EDGES = """
    x: fp32[1, 64, 1, 64]
    a: fp16[1, 64, 1, 64] = cast(x=x, dtype="fp16")
    b: fp16[1, 64, 1, 64] = softmax(x=a, axis=1)
    y: fp32[1, 64, 1, 64] = cast(x=b, dtype="fp32")
    return y
"""
LOOKUP = """
    ids: int32[1, 64]
    y: fp16[1, 64, 32] = gather(x=fp16[100, 32], indices=ids, axis=0)
    return y
"""
LOOKUP_IN_16_BITS = """
    ids: int32[1, 64]
    a: int16[1, 64] = cast(x=ids, dtype="int16")
    y: fp16[1, 64, 32] = gather(x=fp16[100, 32], indices=a, axis=0)
    return y
"""


def lines(*body: str) -> str:
    return "\n".join(body)


@pytest.mark.parametrize(
    ("op", "found"),
    [
        ("y: fp32[1, 64] = softmax(x=x, axis=1)", "softmax computes in fp32"),
        ("y: bool[1, 64] = less(x=x, y=fp32(0.5))", "less computes in fp32"),
        ("y: fp32[1, 64] = reshape(x=x, shape=[1, 64])", "reshape computes in fp32"),
        ("y: fp32[2, 64] = concat(values=[x, x], axis=0)", "concat computes in fp32"),
        ('y: fp16[1, 64] = cast(x=x, dtype="fp16")', None),
    ],
)
def test_ops_in_fp32_are_named_by_what_they_take_or_make(messages: Messages, op: str, found: str | None) -> None:
    assert messages("ANE-DT-001", lines("x: fp32[1, 64]", op, "return y")) == ([found] if found else [])


def test_a_program_in_fp16_with_casts_at_its_edges_has_no_errors(check: Check) -> None:
    assert not [each for each in check(CASTS_AT_THE_EDGES).findings if each.severity is Severity.ERROR]


def test_an_island_is_one_finding_that_names_its_size(messages: Messages) -> None:
    program = """
        x: fp16[1, 64, 1, 64]
        a: fp16[1, 64, 1, 64] = relu(x=x)
        b: fp32[1, 64, 1, 64] = cast(x=a, dtype="fp32")
        c: fp32[1, 64, 1, 64] = exp(x=b)
        d: fp32[1, 64, 1, 1] = reduce_sum(x=c, axes=[3], keep_dims=True)
        e: fp32[1, 64, 1, 64] = real_div(x=c, y=d)
        f: fp16[1, 64, 1, 64] = cast(x=e, dtype="fp16")
        y: fp16[1, 64, 1, 64] = relu(x=f)
        return y
    """
    assert messages("ANE-DT-002", program) == ["an island of fp32 between fp16 ops: 3 ops (exp, reduce_sum, real_div)"]
    assert not messages("ANE-DT-001", program)


@pytest.mark.parametrize(
    "program",
    [
        # at the head: nothing in fp16 was computed before
        """
        x: fp32[1, 64]
        a: fp32[1, 64] = relu(x=x)
        b: fp16[1, 64] = cast(x=a, dtype="fp16")
        y: fp16[1, 64] = relu(x=b)
        return y
        """,
        # nothing but fp32
        """
        x: fp32[1, 64]
        a: fp32[1, 64] = relu(x=x)
        y: fp32[1, 64] = tanh(x=a)
        return y
        """,
        CASTS_AT_THE_EDGES,
    ],
)
def test_fp32_at_an_end_is_no_island(messages: Messages, program: str) -> None:
    assert not messages("ANE-DT-002", program)


def test_an_fp32_result_that_is_wanted_in_fp32_is_not_blamed_on_a_constant(messages: Messages) -> None:
    program = """
        x: fp16[1, 64]
        a: fp32[1, 64] = cast(x=x, dtype="fp32")
        y: fp32[1, 64] = mul(x=a, y=fp32(0.5))
        return y
    """
    assert not messages("ANE-DT-003", program)


@pytest.mark.parametrize(
    ("op", "found"),
    [
        ("y: int32[1, 64] = sub(x=n, y=1)", ["sub works on int32"]),
        ("y: int32[64, 1] = transpose(x=n, perm=[1, 0])", ["transpose works on int32"]),
        ("y: bool[1, 64] = greater_equal(x=n, y=0)", ["greater_equal works on int32"]),
        ("y: int32[1, 64] = gather(x=int32[100], indices=n, axis=0)", []),  # ANE-OP-022 says it
        ("y: fp16[1, 64, 4] = gather(x=fp16[100, 4], indices=n, axis=0)", []),
        ("y: fp16[1, 8] = gather(x=x, indices=int32[8], axis=1)", []),
        ("y: fp16[1, 32] = slice_by_index(x=x, begin=[0, 0], end=[1, 32], stride=[1, 1])", []),
        ("y: fp16[64, 1] = reshape(x=x, shape=[64, 1])", []),
        ("y: (fp16[1, 4], int32[1, 4]) = topk(x=x, k=4, axis=1)", []),
        ("y: int32[1] = reduce_argmax(x=x, axis=1, keep_dims=False)", []),  # has a rule of its own
    ],
)
def test_int32_counts_where_it_is_worked_on(messages: Messages, op: str, found: list[str]) -> None:
    assert messages("ANE-DT-004", lines("x: fp16[1, 64]", "n: int32[1, 64]", op, "return y")) == found


@pytest.mark.parametrize(
    ("source", "target", "refused"),
    [
        ("fp16", "int32", True),
        ("int32", "fp16", True),
        ("int32", "int16", True),
        ("fp16", "int8", True),
        ("fp16", "fp32", False),
        ("fp32", "fp16", False),
        ("bool", "fp16", False),
        ("int8", "fp16", False),
        ("fp16", "int16", False),
    ],
)
def test_casts_of_int32_and_to_int8_are_refused(messages: Messages, source: str, target: str, refused: bool) -> None:
    program = lines(f"x: {source}[1, 64]", f'y: {target}[1, 64] = cast(x=x, dtype="{target}")', "return y")
    assert bool(messages("ANE-DT-005", program)) is refused


@pytest.mark.parametrize("program", [LOOKUP, LOOKUP_IN_16_BITS], ids=["as they are", "in 16 bits"])
def test_ids_that_go_straight_into_a_lookup_are_accepted(messages: Messages, program: str) -> None:
    assert not messages("ANE-DT-006", program)


@pytest.mark.parametrize(
    "op",
    [
        'y: fp16[1, 64] = cast(x=ids, dtype="fp16")',
        "y: int32[1, 64, 1] = expand_dims(x=ids, axes=[2])",
        "y: int32[1, 64] = gather(x=ids, indices=int32[64], axis=1)",
    ],
)
def test_ids_that_are_worked_on_are_told_of(messages: Messages, op: str) -> None:
    [message] = messages("ANE-DT-006", lines("ids: int32[1, 64]", op, "return y"))
    assert message.startswith("input ids (int32) feeds ")


def test_the_place_of_a_maximum_is_found_behind_casts(messages: Messages) -> None:
    program = """
        x: fp16[1, 64]
        a: int32[1] = reduce_argmax(x=x, axis=1, keep_dims=False)
        b: fp16[1] = cast(x=a, dtype="fp16")
        y: fp16[1, 1] = expand_dims(x=b, axes=[1])
        return y
    """
    assert messages("ANE-DT-007", program) == [
        "output y is what reduce_argmax makes of int32: its ops end the program on the CPU"
    ]


def test_an_output_that_is_an_input_ends_on_no_op(messages: Messages) -> None:
    program = """
        n: int32[1, 64]
        x: fp16[1, 64]
        y: fp16[1, 64] = relu(x=x)
        return y, n
    """
    assert not messages("ANE-DT-007", program)


@pytest.mark.parametrize(("rows", "found"), [(32767, True), (32768, False)])
@pytest.mark.parametrize(
    "op",
    [
        "y: fp16[1, 64, 4] = gather(x=fp16[{rows}, 4], indices=n, axis=0)",
        "y: fp16[1, 64] = gather_along_axis(x=fp16[1, {rows}], indices=n, axis=-1)",
    ],
)
def test_indices_fit_16_bits_up_to_32767(messages: Messages, op: str, rows: int, found: bool) -> None:
    program = lines("n: int32[1, 64]", op.format(rows=rows), "return y")
    assert bool(messages("ANE-DT-009", program)) is found


def test_indices_that_are_short_already_are_left_alone(messages: Messages) -> None:
    assert not messages("ANE-DT-009", LOOKUP_IN_16_BITS)


@pytest.mark.parametrize(
    "program",
    [
        "x: fp32[_, _]\ny: fp32[_, _] = mul(x=x, y=lost)\nreturn y",
        "x: int32[_]\ny: fp16[_, 4] = gather(x=lost, indices=x)\nreturn y",
        "x: int32[_]\ny: fp16[_] = gather(x=fp16[4, 4], indices=x, axis=7)\nreturn y",
        'x: fp16[1]\ny: fp16[1] = cast(dtype="fp16")\nreturn y',
        "x: fp16[1]\nselect()\ntopk()\ngather_nd()\nreturn x",
        "x: int32[4]\nreturn x",
    ],
)
def test_nothing_breaks_on_what_is_missing(check: Check, program: str) -> None:
    assert check(program).functions


IMAGE = """
    x: pixels[fp32[1, 3, 32, 32]]
    s: fp32[1, 3, 32, 32] = mul(x=x, y=fp32(0.0039))
    {}
    return z
"""


@pytest.mark.parametrize(
    ("rest", "errors"),
    [
        ('z: fp16[1, 3, 32, 32] = cast(x=s, dtype="fp16")', 0),
        ("z: fp32[1, 3, 32, 32] = relu(x=s)", 1),  # the model itself is in fp32
    ],
)
def test_the_scale_of_an_image_in_fp32_is_a_remark_where_the_model_is_in_fp16(
    check: Check, rest: str, errors: int
) -> None:
    report = check(IMAGE.format(rest))
    assert sum(each.severity is Severity.ERROR for each in report.findings) == errors
    assert [each.rule.code for each in report.findings if each.rule.code == "ANE-DT-010"] == ["ANE-DT-010"] * (
        not errors
    )
    assert report.functions[0].ops[0].eligible.value == "no"


def test_the_same_ops_on_a_tensor_are_errors(messages: Messages) -> None:
    text = IMAGE.format('z: fp16[1, 3, 32, 32] = cast(x=s, dtype="fp16")').replace(
        "pixels[fp32[1, 3, 32, 32]]", "fp32[1, 3, 32, 32]"
    )
    assert messages("ANE-DT-001", text) == ["mul computes in fp32"]


def test_what_one_rule_names_no_other_names_again(check: Check) -> None:
    report = check("""
        x: fp32[16, 1, 64]
        h: fp32[1, 32]
        c: fp32[1, 32]
        y: (fp32[16, 1, 32], fp32[1, 32], fp32[1, 32]) = lstm(x=x, initial_h=h, initial_c=c, weight_ih=fp32[128, 64])
        return y
    """)
    assert [each.rule.code for each in report.findings if each.severity is Severity.ERROR] == ["ANE-OP-001"]
    wide = check("x: fp16[1, 4, 1, 70000]\ny: fp16[1, 4, 1, 70000] = relu(x=x)\nreturn y")
    assert [each.rule.code for each in wide.findings if each.severity is Severity.ERROR] == ["ANE-SH-003"]


def test_a_program_in_fp32_is_one_error_that_puts_all_of_it_off(check: Check) -> None:
    report = check("""
        x: fp32[1, 64, 1, 64]
        a: fp32[1, 64, 1, 64] = relu(x=x)
        b: fp32[1, 64, 1, 64] = exp(x=a)
        c: fp32[1, 64, 1, 64] = mul(x=a, y=b)
        return c
    """)
    (error,) = [each for each in report.findings if each.severity is Severity.ERROR]
    assert (error.rule.code, error.op) == ("ANE-DT-001", "a")
    assert error.message == "3 connected ops (relu, exp, mul) compute in fp32"
    assert [(row.eligible.value, "ANE-DT-001" in row.rules) for row in report.functions[0].ops] == [("no", True)] * 3
