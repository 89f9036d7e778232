"""Layout in memory: what is padded, what is laid out anew, and what is too small to speak of."""

from __future__ import annotations

import dataclasses
from inspect import cleandoc

import pytest

from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.table import Table
from mctc.package import Description, Package
from tests.linter.coreml.conftest import Messages


def relu(type_: str) -> str:
    return f"x: {type_}\ny: {type_} = relu(x=x)\nreturn y"


def described_as_image(package: Package) -> Package:
    found = package.descriptions["main"]
    inputs = tuple(dataclasses.replace(each, kind="image") for each in found.inputs)
    return dataclasses.replace(package, descriptions={"main": Description(inputs, found.outputs, found.states)})


@pytest.mark.parametrize(
    ("type_", "told"),
    [
        ("fp16[1, 64, 1, 1]", True),  # 64 rows of 64 bytes: 4 KiB
        ("fp16[1, 63, 1, 1]", False),
        ("fp32[1, 64, 1, 1]", True),  # becomes fp16 at the edge
        ("int32[1, 64, 1, 1]", False),  # never gets to the engine
        ("fp16[1, 1, 1, 1]", False),
        ("fp16[1]", False),
        ("fp16", False),
        ("fp16[1, 64, 1, _]", False),
    ],
)
def test_a_last_axis_of_one_is_told_of_from_4_kib_on(messages: Messages, type_: str, told: bool) -> None:
    assert len(messages("ANE-LY-001", relu(type_))) == 2 * told  # the input and the output


@pytest.mark.parametrize(
    ("type_", "told"),
    [
        ("fp16[1, 64, 1, 32]", False),
        ("fp16[1, 64, 1, 33]", True),
        ("fp16[1, 64, 1, 31]", True),
        ("fp32[1, 64, 1, 32]", False),
        ("int8[1, 64, 1, 64]", False),
        ("int8[1, 64, 1, 32]", True),
        ("fp16[1, 1000]", False),  # one row
        ("int32[8, 77]", False),
    ],
)
def test_rows_are_multiples_of_64_bytes(messages: Messages, type_: str, told: bool) -> None:
    assert len(messages("ANE-LY-002", relu(type_))) == 2 * told


def test_states_count_as_inputs_do(messages: Messages) -> None:
    program = """
        s: state[fp16[1, 8, 512, 270]]
        x: fp16[1, 8, 512, 256]
        a: fp16[1, 8, 512, 270] = read_state(input=s)
        y: fp16[1, 8, 512, 256] = slice_by_size(x=a, begin=[0, 0, 0, 0], size=[1, 8, 512, 256])
        return y
    """
    assert messages("ANE-LY-002", program) == [
        "state s (fp16[1, 8, 512, 270]): rows of 270 are no multiple of 32, padded to 288"
    ]


def test_an_image_is_no_array(rules: Table) -> None:
    package = read_notation(relu("fp16[1, 3, 100, 100]"))
    texts = {}
    for name, each in (("array", package), ("image", described_as_image(package))):
        found = check_package(each, rules.rules.values()).findings
        texts[name] = [finding.message[:7] for finding in found if finding.rule.code == "ANE-LY-002"]
    assert texts == {"array": ["input x", "output "], "image": ["output "]}


@pytest.mark.parametrize(("width", "told"), [(31, True), (32, False)])
@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_narrow_inputs_are_followed_through_a_cast(messages: Messages, dtype: str, width: int, told: bool) -> None:
    program = f"""
        x: {dtype}[1, 64, {width}]
        a: fp16[1, 64, {width}] = cast(x=x, dtype="fp16")
        y: fp16[1, 64, 64] = linear(x=a, weight=fp16[64, {width}], bias=fp16[64])
        return y
    """
    assert bool(messages("ANE-LY-003", program)) is told


def test_one_position_at_a_time_into_a_convolution_is_no_narrow_input(messages: Messages) -> None:
    program = "x: fp16[1, 64, 1, 1]\ny: fp16[1, 64, 1, 1] = conv(x=x, weight=fp16[64, 64, 1, 1])\nreturn y"
    assert not messages("ANE-LY-003", program)


def test_linear_layers_among_more_convolutions_are_no_transformer_body(messages: Messages) -> None:
    program = """
        x: fp16[1, 64, 128]
        z: fp16[1, 128, 1, 64]
        for _ in range(4):
            x: fp16[1, 64, 128] = linear(x=x, weight=fp16[128, 128], bias=fp16[128])
            z: fp16[1, 128, 1, 64] = conv(x=z, weight=fp16[128, 128, 1, 1])
        return x, z
    """
    assert not messages("ANE-LY-004", program)


@pytest.mark.parametrize(
    ("op", "told"),
    [
        ("b: fp16[1, 64, 2, 64] = reshape(x=a, shape=[1, 64, 2, 64])", True),
        ("b: fp16[64, 1, 128] = reshape(x=a, shape=[64, 1, 128])", False),
        ("b: fp16[1, 128, 64] = transpose(x=a, perm=[0, 2, 1])", True),
        ("b: fp16[1, 128, 64] = transpose(x=a, perm=[0, -1, 1])", True),
        ("b: fp16[64, 1, 128] = transpose(x=a, perm=[1, 0, 2])", False),
        ("b: fp16[1, 64, _] = reshape(x=a, shape=[1, 64, -1])", False),
        ("b: fp16[1, 128, 64] = transpose(x=a)", False),
    ],
)
def test_a_change_of_the_last_axis_is_told_of_between_ops(messages: Messages, op: str, told: bool) -> None:
    program = f"""
        x: fp16[1, 64, 128]
        a: fp16[1, 64, 128] = relu(x=x)
        {op}
        y: fp16[1, 64, 128] = relu(x=b)
        return y
    """
    assert bool(messages("ANE-LY-005", program)) is told


def test_changes_at_the_edges_are_none_between_ops(messages: Messages) -> None:
    program = """
        x: fp32[1, 64, 128]
        a: fp16[1, 64, 128] = cast(x=x, dtype="fp16")
        b: fp16[1, 128, 64] = transpose(x=a, perm=[0, 2, 1])
        c: fp16[1, 128, 64] = relu(x=b)
        d: fp16[1, 64, 128] = transpose(x=c, perm=[0, 2, 1])
        y: fp32[1, 64, 128] = cast(x=d, dtype="fp32")
        return y
    """
    assert not messages("ANE-LY-005", program)


@pytest.mark.parametrize(("extent", "told"), [(16, True), (15, False)])
def test_a_small_change_of_layout_costs_nothing_worth_a_line(messages: Messages, extent: int, told: bool) -> None:
    program = f"""
        x: fp16[1, 128, {extent}]
        a: fp16[1, 128, {extent}] = relu(x=x)
        b: fp16[1, {extent}, 128] = transpose(x=a, perm=[0, 2, 1])
        y: fp16[1, {extent}, 128] = relu(x=b)
        return y
    """
    assert bool(messages("ANE-LY-005", program)) is told


@pytest.mark.parametrize(
    ("width", "kernel", "told"), [(64, 1, True), (128, 1, True), (56, 1, False), (68, 1, False), (64, 3, False)]
)
def test_rows_that_fold_by_eight_are_long(messages: Messages, width: int, kernel: int, told: bool) -> None:
    conv = f'fp16[1, 64, 1, {width}] = conv(x=x, weight=fp16[64, 64, 1, {kernel}], pad_type="same")'
    program = f"x: fp16[1, 64, 1, {width}]\nx: {conv}\nx: {conv}\nreturn x"
    assert bool(messages("ANE-LY-006", program)) is told


@pytest.mark.parametrize(
    ("device", "rows", "told"),
    [("m4", 1024, False), ("m4", 1025, True), ("m5", 1025, False), ("m5", 2304, False), ("m5", 2305, True)],
)
def test_the_working_set_is_that_of_the_family(messages: Messages, device: str, rows: int, told: bool) -> None:
    program = f"x: fp16[1, {rows}, 1024]\ny: fp16[1, {rows}, 8] = matmul(x=x, y=fp16[1024, 8])\nreturn y"
    assert bool(messages("ANE-LY-008", program, device=device)) is told


@pytest.mark.parametrize(("out", "told"), [(16366, False), (16384, True)])
def test_a_weight_counts_towards_32_mib_in_all(messages: Messages, out: int, told: bool) -> None:
    program = f"x: fp16[1, 1, 1024]\ny: fp16[1, 1, {out}] = linear(x=x, weight=fp16[{out}, 1024])\nreturn y"
    assert bool(messages("ANE-LY-008", program, device="m1")) is told


def linear(out: int, into: int) -> str:
    return f"x: fp16[1, 1, {into}]\ny: fp16[1, 1, {out}] = linear(x=x, weight=fp16[{out}, {into}])\nreturn y"


@pytest.mark.parametrize(
    ("out", "into", "told"),
    [
        (2048, 4096, True),  # 1 MiB
        (2048, 4160, True),  # 16 KiB more
        (2048, 4161, False),
        (2048, 4032, True),  # 16 KiB less
        (2048, 4031, False),
        (2033, 4096, True),  # as many rows a core as 2048
        (2048, 8192, True),  # 2 MiB
        (64, 64, False),
        (2048, 2048, False),
    ],
)
def test_a_share_of_a_core_near_a_whole_mib(messages: Messages, out: int, into: int, told: bool) -> None:
    assert bool(messages("ANE-LY-009", linear(out, into), device="m4")) is told
    assert not messages("ANE-LY-009", linear(out, into), device="m1")


def test_the_kernel_counts_and_compressed_weights_do_not(messages: Messages) -> None:
    plain = "x: fp16[1, 512, 8, 8]\ny: fp16[1, 2048, 8, 8] = conv(x=x, weight=fp16[2048, 512, 2, 4])\nreturn y"
    packed = """
        x: fp16[1, 1, 4096]
        w: fp16[2048, 4096] = constexpr_lut_to_dense(indices=uint4[2048, 4096], lut=fp16[1, 1, 16, 1])
        y: fp16[1, 1, 2048] = linear(x=x, weight=w)
        return y
    """
    assert messages("ANE-LY-009", plain, device="m4")
    assert not messages("ANE-LY-009", cleandoc(packed), device="m4")
