"""The form of a package: versions against systems, and programs that can't be right."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.table import Table
from mctc.package import Block, Function
from tests.linter.coreml.conftest import Check, Messages

FORM = {"ANE-GR-903", "ANE-GR-904", "ANE-GR-905"}
BODY = "x: fp16[1, 64]\ny: fp16[1, 64] = relu(x=x)\nreturn y"


def with_opset(opset: str) -> str:
    return f'opset = "{opset}"\n{BODY}'


@pytest.mark.parametrize(
    ("opset", "system", "refused"),
    [
        ("CoreML5", "ios15", False),
        ("CoreML6", "ios15", True),
        ("CoreML7", "ios17.4", False),
        ("CoreML7", "macos13", True),
        ("CoreML8", "macos15.2", False),
        ("CoreML8", "ios17", True),
        ("CoreML9", "ios18", True),
        ("CoreML9", "ios26", False),
        ("CoreML5", "ios14", True),
        ("CoreML10", "macos26", True),
        ("CoreML10", "ios27", False),  # may be the one that brings it
        ("CoreML8", None, False),  # no system stated
        ("CoreML10", None, False),
        ("Frob", "ios18", False),
    ],
)
def test_an_opset_needs_its_first_system(messages: Messages, opset: str, system: str | None, refused: bool) -> None:
    told = messages("ANE-GR-901", with_opset(opset), system=system)
    assert bool([each for each in told if each.startswith("opset")]) is refused


def test_the_message_names_what_is_needed(messages: Messages) -> None:
    told = messages("ANE-GR-901", with_opset("CoreML8"), system="ios16")
    assert told == ["opset CoreML8 needs iOS 18 or macOS 15, the target is iOS 16"]


def test_a_specification_version_may_be_ahead_of_the_opset(rules: Table) -> None:
    package = dataclasses.replace(read_notation(with_opset("CoreML6")), spec_version=9)
    found = check_package(package, rules.rules.values(), system="ios17").findings
    assert [each.message for each in found if each.rule.code == "ANE-GR-901"] == [
        "specification version 9 needs iOS 18 or macOS 15, the target is iOS 17"
    ]


@pytest.mark.parametrize(("opset", "count"), [("CoreML5", 0), ("CoreML9", 0), ("CoreML10", 2), ("", 2)])
def test_versions_that_are_not_known(messages: Messages, opset: str, count: int) -> None:
    assert len(messages("ANE-GR-902", with_opset(opset))) == count


@pytest.mark.parametrize(
    ("line", "taker"),
    [
        ("y: fp16[4] = add(x=x, y=lost)", "add"),
        ("y: fp16[8] = concat(values=[x, lost], axis=0)", "concat"),
        ("y: fp16[4, 4] = constexpr_lut_to_dense(indices=lost, lut=fp16[1, 1, 16, 1])", "constexpr_lut_to_dense"),
        ("y: fp16[4] = read_state(input=s)", None),
        ("a: (fp16[2], fp16[2]) = split(x=x, num_splits=2, axis=0)\ny: fp16[2] = relu(x=a_1)", None),
    ],
)
def test_values_that_nothing_defines(messages: Messages, line: str, taker: str | None) -> None:
    found = messages("ANE-GR-903", f"x: fp16[4]\ns: state[fp16[4]]\n{line}\nreturn y")
    assert found == ([f"{taker} takes lost, which nothing defines"] if taker else [])


def check_body(rules: Table, code: str, change: Callable[[Function], Function]) -> list[str]:
    """What a rule says of a function of two relus, its body changed so."""
    package = read_notation("x: fp16[4]\ny: fp16[4] = relu(x=x)\nz: fp16[4] = relu(x=y)\nreturn z")
    function = package.functions["main"]
    changed = dataclasses.replace(package, functions={"main": change(function)})
    findings = check_package(changed, rules.rules.values()).findings
    return [each.message for each in findings if each.rule.code == code]


def in_order(function: Function, *order: int) -> Function:
    operations = tuple(function.operations[place] for place in order)
    return dataclasses.replace(function, body=dataclasses.replace(function.body, operations=operations))


def test_a_value_is_defined_before_it_is_used(rules: Table) -> None:
    found = check_body(rules, "ANE-GR-903", change=lambda function: in_order(function, 1, 0))
    assert found == ["relu takes y, which is not defined before it is used"]


def test_a_name_is_given_once(rules: Table) -> None:
    found = check_body(rules, "ANE-GR-903", change=lambda function: in_order(function, 0, 0, 1))
    assert found == ["relu makes y, a name that another value has"]


def test_a_value_of_a_branch_ends_with_it(rules: Table) -> None:
    def nested(function: Function) -> Function:
        first, second = function.operations
        branch = dataclasses.replace(first, index=2, type="cond", outputs=(), blocks=(Block((), ("y",), (first,)),))
        return dataclasses.replace(function, body=dataclasses.replace(function.body, operations=(branch, second)))

    assert check_body(rules, "ANE-GR-903", change=nested) == ["relu takes y, which is not defined before it is used"]


def test_an_empty_interface_and_one_that_differs_from_its_description(rules: Table) -> None:
    def renamed(function: Function) -> Function:
        inputs = (dataclasses.replace(function.inputs[0], name="w"),)
        return dataclasses.replace(function, inputs=inputs)

    def silent(function: Function) -> Function:
        return dataclasses.replace(function, outputs=(), body=dataclasses.replace(function.body, outputs=()))

    assert check_body(rules, "ANE-GR-905", change=renamed) == [
        "the model description has the input x, the function has not",
        "the function has the input w, the model description has not",
    ]
    assert check_body(rules, "ANE-GR-905", change=silent) == [
        "it returns nothing",
        "the model description has the output z, the function has not",
    ]
    assert not check_body(rules, "ANE-GR-905", change=lambda function: function)


@pytest.mark.parametrize(
    ("line", "possible"),
    [
        ("y: fp16[2, 3] = relu(x=x)", True),
        ("y: fp16[2, _] = relu(x=x)", True),
        ("y: fp16[2, 4] = relu(x=x)", False),
        ("y: fp32[2, 3] = relu(x=x)", False),
        ("y: fp16[2, 3, 1] = relu(x=x)", False),
        ("y: fp16[2, 3] = add(x=x, y=fp16[3])", True),
        ("y: fp16[2, 2, 3] = add(x=x, y=fp16[2, 1, 1])", True),
        ("y: fp16[2, 3] = add(x=x, y=fp16(1.0))", True),
        ("y: fp16[2, 3] = add(x=x, y=fp16[2, 1, 1])", False),
        ("y: fp16[2, 3] = add(x=x, y=n)", True),
        ("y: bool[2, 3] = less(x=x, y=fp16[3])", True),
        ("y: fp16[2, 3] = less(x=x, y=fp16[3])", False),
        ("y: fp16[3, 2] = transpose(x=x, perm=[1, 0])", True),
        ("y: fp16[3, 2] = transpose(x=x, perm=[-1, -2])", True),
        ("y: fp16[2, 3] = transpose(x=x, perm=[1, 0])", False),
        ("y: fp16[2, 3] = transpose(x=x)", True),
        ('y: fp32[2, 3] = cast(x=x, dtype="fp32")', True),
        ('y: fp16[2, 3] = cast(x=x, dtype="fp32")', False),
        ('y: fp16[2, 3] = cast(x=x, dtype="fp12")', True),
        ("y: fp16[2, 3] = relu(x=lost)", True),
        ("y: fp16[6] = reshape(x=x, shape=[6])", True),
        ("y: fp16[2, 5] = linear(x=x, weight=fp16[5, 3])", True),
        ("y: fp16[2, 7] = linear(x=x, weight=fp16[5, 3])", False),
        ("y: fp16[5] = linear(x=x, weight=fp16[5, 3])", False),
        ("y: fp16[2, 5] = linear(x=x, weight=lost)", True),
    ],
)
def test_results_that_operands_can_not_make(messages: Messages, line: str, possible: bool) -> None:
    found = messages("ANE-GR-904", f"x: fp16[2, 3]\nn: fp16[_, _]\n{line}\nreturn y")
    assert bool(found) is not possible


def test_scalars_may_be_written_with_an_axis_or_without(messages: Messages) -> None:
    assert not messages("ANE-GR-904", "x: fp16\ny: fp16[1] = relu(x=x)\nreturn y")
    assert not messages("ANE-GR-904", "x: fp16[1]\ny: fp16 = relu(x=x)\nreturn y")


def test_an_example_of_any_other_rule_is_a_possible_program(check: Check, rules: Table) -> None:
    wrong = {}
    for code, rule in rules.rules.items():
        for text in (rule.fires, rule.silent):
            codes = {each.rule.code for each in check(text).findings} & FORM
            if codes and code not in codes:
                wrong[code] = codes
    assert not wrong
