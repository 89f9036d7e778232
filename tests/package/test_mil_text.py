"""The text of a compiled model's program: every form of it that compilers have written."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.package import (
    Constant,
    Function,
    ListType,
    NamedType,
    OtherType,
    PackageError,
    Reference,
    StateType,
    TensorType,
)
from mctc.package.mil_text import parse_text
from mctc.package.weights import Weights

FLEXIBLE = (
    "[FlexibleShapeInformation = tuple<tuple<tensor<string, []>, dict<tensor<string, []>, tensor<int32, [?]>>>, "
    "tuple<tensor<string, []>, dict<tensor<string, []>, list<tensor<int32, [2]>, ?>>>>"
    '((("DefaultShapes", {{"sound", [1, 1]}}), ("RangeDims", {{"sound", [[1, 1], [1, 9]]}})))]'
)
OLDER = """program(1.0)
[buildInfo = dict<tensor<string, []>, tensor<string, []>>({{"compiler", "1.2"}, {"a \\"quoted\\" one", ""}})]
{
    func main<ios17>(tensor<fp32, [1, ?]> sound, tensor<int32, []> n) FLEXIBLE {
            tensor<string, []> kind = const()[name = tensor<string, []>("kind_0"), val = tensor<string, []>("fp16")];
            tensor<fp16, [1, ?]> half = cast(dtype = kind, x = sound)[name = tensor<string, []>("half")];
            tensor<fp16, [1, ?]> a, tensor<uint16, [1, ?]> b = topk(k = n, x = half)[name = tensor<string, []>("top")];
            tensor<fp16, [2, ?]> both = concat(values = (half, a))[name = tensor<string, []>("both")];
        } -> (both, b);
}
""".replace("FLEXIBLE", FLEXIBLE)
NEWER = """program(1.3)
[buildInfo = dict<string, string>({})]
{
  func step<ios18>(state<tensor<fp16, [1, 2]>> past, fp16 x) {
    fp16 half = const()[name=string("half"), val=fp16(0x1p-1)];
    tensor<fp16, [1, 2]> was = read_state(input = past)[name = string("was")];
    tensor<fp16, [1, 2]> now = mul(x = was, y = fp16(0x1.8p+1))[name = string("now")];
    write_state(data = now, input = past)[name = string("now_write_state")];
  } -> (now);
  func main<ios26>(int32 i) {
    int32 j = add(x = i, y = i);
  } -> (j);
}
"""


def parse(text: str, folder: Path = Path("none")) -> dict[str, Function]:
    return parse_text(text, Path("model.mil"), Weights(folder, folder))


def body(statements: str, results: str = "", parameters: str = "") -> Function:
    return parse(f"program(1.0) {{ func main<ios18>({parameters}) {{ {statements} }} -> ({results}); }}")["main"]


def value(text: str) -> Constant:
    found = body(f'fp16 c = const()[name = string("c"), val = {text}];').operations[0].attributes["val"]
    assert isinstance(found, Constant)
    return found


def test_the_older_form_is_read() -> None:
    main = parse(OLDER)["main"]
    assert main.opset == "CoreML7"
    assert main.inputs == (NamedType("sound", TensorType("fp32", (1, None))), NamedType("n", TensorType("int32", ())))
    assert [item.name for item in main.outputs] == ["both", "b"]
    kind, half, top, both = main.operations
    assert (kind.name, kind.attributes["val"].value()) == ("kind_0", "fp16")
    assert half.inputs == {"dtype": (Reference("kind"),), "x": (Reference("sound"),)}
    assert [item.type for item in top.outputs] == [TensorType("fp16", (1, None)), TensorType("uint16", (1, None))]
    assert both.inputs["values"] == (Reference("half"), Reference("a"))


def test_the_newer_form_is_read() -> None:
    functions = parse(NEWER)
    assert {name: item.opset for name, item in functions.items()} == {"main": "CoreML9", "step": "CoreML8"}
    step = functions["step"]
    assert step.states == (NamedType("past", StateType(TensorType("fp16", (1, 2)))),)
    assert step.inputs == (NamedType("x", TensorType("fp16", ())),)
    assert [item.type for item in step.operations] == ["const", "read_state", "mul", "write_state"]
    assert [item.index for item in step.operations] == [0, 1, 2, 3]
    bound = step.operations[2].inputs["y"][0]
    assert isinstance(bound, Constant)
    assert bound.value() == np.float16(3)
    assert step.operations[3].outputs == ()
    assert functions["main"].operations[0].name == "j"  # nothing else names it


VALUES: list[tuple[str, TensorType, Any]] = [
    ("fp16(0x1p-3)", TensorType("fp16", ()), 0.125),
    ("tensor<fp32, []>(-0x1.8p+1)", TensorType("fp32", ()), -3.0),
    ("tensor<fp32, [3]>([inf, -inf, nan])", TensorType("fp32", (3,)), [np.inf, -np.inf, np.nan]),
    ("tensor<fp16, [2]>([1.5, -2e-1])", TensorType("fp16", (2,)), [1.5, np.float16(-0.2)]),
    ("tensor<fp16, [1]>([0x1p+20])", TensorType("fp16", (1,)), [np.inf]),
    ("tensor<int32, [2, 2]>([[1, 2], [3, -4]])", TensorType("int32", (2, 2)), [[1, 2], [3, -4]]),
    ("tensor<int32, [2, 1, 2]>([[[1, 2]], [[3, 4]]])", TensorType("int32", (2, 1, 2)), [[[1, 2]], [[3, 4]]]),
    ("tensor<int32, [2, 2]>([1, 2, 3, 4])", TensorType("int32", (2, 2)), [[1, 2], [3, 4]]),
    ("tensor<int32, [0]>([])", TensorType("int32", (0,)), []),
    ("tensor<bool, [2]>([true, false])", TensorType("bool", (2,)), [True, False]),
    ("bool(true)", TensorType("bool", ()), True),
    ("tensor<int4, [2]>([-8, 7])", TensorType("int4", (2,)), [-8, 7]),
    ("tensor<uint64, []>(18446744073709551615)", TensorType("uint64", ()), (1 << 64) - 1),
]


@pytest.mark.parametrize(("text", "type_", "wanted"), VALUES, ids=[row[0] for row in VALUES])
def test_numbers_are_read(text: str, type_: TensorType, wanted: Any) -> None:
    constant = value(text)
    assert constant.type == type_
    found = constant.value()
    assert found.shape == type_.shape
    np.testing.assert_array_equal(found, wanted)


def test_strings_are_read() -> None:
    assert value('string("plain")').value() == "plain"
    assert value(r'string("a \"b\" \\ \n \x41")').value() == 'a "b" \\ \n A'
    assert value('tensor<string, [2]>(["a, b", "[c]"])').value() == ["a, b", "[c]"]
    assert value("tensor<string, [0]>([])").value() == []


def test_lists_tuples_and_dictionaries_are_read_as_far_as_in_the_other_form() -> None:
    listed = value('list<tensor<string, []>, 2>(("a", "b"))')
    assert (listed.type, listed.value()) == (ListType(TensorType("string", ()), 2), ["a", "b"])
    assert value("list<tensor<int32, [2]>, ?>([[1, 2]])").type == ListType(TensorType("int32", (2,)), None)
    assert value('dict<string, int32>({{"a", 1}})').type == OtherType("dictionary")
    assert value("tuple<int32, fp16>((1, 2))").type == OtherType("tuple")


def test_a_type_of_unknown_rank_or_element_is_read() -> None:
    function = body("tensor<fp16, [...]> a = one(); tensor<fp12, [2]> b = two(); fp12 c = three();")
    assert [item.outputs[0].type for item in function.operations] == [
        TensorType("fp16", None),
        TensorType("unknown<fp12>", (2,)),
        TensorType("unknown<fp12>", ()),
    ]
    with pytest.raises(PackageError, match=r"line 1, function 'main', operation 0, const: .* element type isn't known"):
        value("fp12(1)").value()


BLOCKS = [
    "fp16 y = cond(pred = p)[name = string(\"if\")] {{ {} }} -> (a), {{ {} }} -> (b);",
    "fp16 y = cond(pred = p) yes() {{ {} }} -> (a) no() {{ {} }} -> (b) [name = string(\"if\")];",
    "fp16 y = cond(pred = p)[name = string(\"if\")]; block() {{ {} }} -> (a); block() {{ {} }} -> (b);",
]  # fmt: skip


@pytest.mark.parametrize("form", BLOCKS)
def test_blocks_are_read_wherever_they_stand(form: str) -> None:
    text = form.format('fp16 a = relu(x = x)[name = string("one")];', "fp16 b = exp(x = x);")
    function = body(text + " fp16 z = relu(x = y);", "z", "bool p, fp16 x")
    cond, last = function.operations
    assert [block.outputs for block in cond.blocks] == [("a",), ("b",)]
    assert [item.index for item in function.walk()] == [0, 1, 2, 3]
    assert (cond.name, last.index, cond.blocks[0].operations[0].name) == ("if", 3, "one")
    assert list(cond.inputs) == ["pred"]


def test_the_inputs_of_blocks_are_read() -> None:
    loop = body(
        "int32 n = while_loop(loop_vars = (i)) (int32 j) { bool c = less(x = j, y = j); } -> (c) "
        "(int32 k) { int32 m = add(x = k, y = k); } -> (m);",
        "n",
        "int32 i",
    ).operations[0]
    assert loop.inputs == {"loop_vars": (Reference("i"),)}
    assert [block.inputs[0].name for block in loop.blocks] == ["j", "k"]


ERRORS = [
    ("", "line 1: 'program"),
    ("program(1.0) {", "line 1: '}' is expected, the text ends here"),
    ("program(1.0)\n{ func main<ios18>() {\n\n 7 } -> (); }", "line 4: a type is expected, found '7 }"),
    ("program(1.0) { func f() { fp16 x = op(a = ); } -> (); }", "line 1: a type is expected"),
    ("program(1.0) { func f() { fp16 x = op(a = b c = d); } -> (); }", "is expected, found"),
    ("program(1.0) { func f() { fp16 x = op(a = b, a = b); } -> (); }", "'a' was given already"),
    ("program(1.0) { func f() { } -> (); func f() { } -> (); }", "a second function 'f'"),
    ("program(1.0) { func f() { } -> (ghost); }", "line 1, function 'f': the result 'ghost' is never computed"),
    ("program(1.0) { } more", "the end is expected, found 'more'"),
    ('program(1.0) { func f() { fp16 x = op()[name = string("open', "is expected"),
    ("program(1.0) { func f() { fp16 x = op()[val = x]; } -> (); }", "op: the attribute 'val' isn't a value"),
    ("program(1.0) { func f(tensor<fp16, [1, x]> a) { } -> (); }", "the extent 'x' is no number"),
    ("program(1.0) { func f(tensor<fp16, [" + "9" * 5000 + "]> a) { } -> (); }", "is no number"),
    ("program(1.0) { func f(state<int32, int32> a) { } -> (); }", "a type 'state' of other parts"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), ERRORS, ids=[row[1] for row in ERRORS])
def test_what_cannot_be_parsed_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(PackageError) as raised:
        parse(text)
    assert message in str(raised.value)


BAD_VALUES = [
    ("tensor<int32, [2]>([1])", "needs 2 elements, the program holds 1"),
    ("tensor<int32, [-1, -2]>([1, 2])", "no definite shape"),
    ("tensor<int32, [?]>([1, 2])", "no definite shape"),
    ('tensor<int32, [1]>(["a"])', "a number was expected"),
    ("string(1)", "a string was expected"),
    ("fp16(BLOBFILE(path = string(\"@model_path/w.bin\")))", "needs a path and an offset"),
    ("fp16(BLOBFILE(path = string(\"@model_path/../w.bin\"), offset = uint64(64)))", "isn't inside the package"),
    ("fp16(BLOBFILE(path = string(\"@model_path/w.bin\"), offset = uint64(64)))", "there is no such file"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD_VALUES, ids=[row[0] for row in BAD_VALUES])
def test_a_value_that_lies_is_refused_when_it_is_read(text: str, message: str) -> None:
    with pytest.raises(PackageError, match=message):
        value(text)


@pytest.mark.parametrize(
    "text",
    ["fp16(a)", "fp16(0x1p99999)", "int32(1.5)", "uint8(256)", "int4(8)", "bool(yes)", f"int32({'1' * 9999})",
     "tensor<int32, [1]>([ ])", "tensor<fp16, [2]>([1,,])"],
)  # fmt: skip
def test_a_word_that_is_no_such_number_is_refused_when_it_is_wanted(text: str) -> None:
    with pytest.raises(PackageError, match="line 1, function 'main', operation 0, const: "):
        value(text).value()


DEEP: list[tuple[str, Callable[[int], str]]] = [
    ("blocks", lambda n: "program(1.0) { func f() {" + "fp16 x = c() {" * n),
    ("literals", lambda n: "program(1.0) { func f() { fp16 x = op(a = fp16(" + "[" * n),
    ("types", lambda n: "program(1.0) { func f(" + "list<" * n),
    ("values", lambda n: "program(1.0) { func f() { fp16 x = op(a = " + "(" * n),
]


@pytest.mark.parametrize(("kind", "text"), DEEP, ids=[row[0] for row in DEEP])
def test_nesting_has_a_limit(kind: str, text: Callable[[int], str]) -> None:
    with pytest.raises(PackageError, match="line 1: "):
        parse(text(100_000))


HUGE: list[tuple[str, Callable[[int], str]]] = [
    ("space", lambda n: "program(1.0) { func f() { fp16" + " " * n),
    ("name", lambda n: "program(1.0) { func f() { fp16 " + "a" * n),
    ("tensors left open", lambda n: "program(1.0) { func f() { " + "tensor<fp16, [1" * n),
    ("a string left open", lambda n: 'program(1.0) { func f() { fp16 x = op(a = string("' + "\\\\" * n),
    ("numbers left open", lambda n: "program(1.0) { func f() { fp16 x = op(a = fp16([" + "1, " * n),
    ("lists left open", lambda n: "program(1.0) { func f() { fp16 x = op(a = fp16([" + "[1], " * n),
    ("values", lambda n: "program(1.0) { func f() { fp16 x = op(a = (" + "b, " * n),
    ("statements", lambda n: "program(1.0) { func f() {" + "f();\n" * n),
    ("results", lambda n: "program(1.0) { func f() {" + "fp16 a, " * n),
    ("functions", lambda n: "program(1.0) {" + "".join(f"func f{k}() {{}} -> ();" for k in range(n))),
]


@pytest.mark.parametrize(("kind", "text"), HUGE, ids=[row[0] for row in HUGE])
def test_a_long_text_takes_time_in_proportion(kind: str, text: Callable[[int], str]) -> None:
    def cost(n: int) -> float:
        whole, start = text(n), time.process_time()
        with pytest.raises(PackageError):
            parse(whole)
        return time.process_time() - start

    assert cost(20_000) < 40 * cost(2_000) + 0.2


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([OLDER, NEWER]), st.data())
def test_changed_texts_never_surprise(text: str, data: st.DataObject) -> None:
    """Whatever is cut out, doubled or put in, the text and its values are read or refused."""
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 20)))
        new = data.draw(
            st.sampled_from(["", "(", ")", "[", "{", "}", ",", ";", '"', "\\", "<", "=", "-1", text[start:end] * 2])
        )
        text = text[:start] + new + text[end:]
    with contextlib.suppress(PackageError):
        functions = parse(text)
        for operation in (item for function in functions.values() for item in function.walk()):
            for constant in operation.attributes.values():
                constant.value()
