"""What a spec becomes: functions, parameter paths, roles, sections."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.ir.program import Dim, Initializer, Quantization
from mctc.ir.types import Role

from .conftest import HEAD, Check, Elaborate, component


def paths(program: object) -> list[str]:
    return [name.removeprefix("c.") for name in program.parameters]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["return rms_norm(x)"], ["rms_norm.weight"]),
        (["norm = rms_norm(x)", "return norm"], ["norm.weight"]),
        (["return rms_norm(x) as norm"], ["norm.weight"]),
        (["x = rms_norm(x)", "x = rms_norm(x)", "return x"], ["rms_norm.weight", "rms_norm_1.weight"]),
        (["y = rms_norm(rms_norm(x))", "return y"], ["rms_norm.weight", "y.weight"]),
        (["y = rms_norm(x) as rms", "return rms_norm(y) + 0 * y"], ["rms.weight", "rms_norm.weight"]),
        (["y = rms_norm(x)", "z = rms_norm(y) as y", "return z"], ["y_1.weight", "y.weight"]),
        (["repeat 2 { x = rms_norm(x) }", "return x"], ["layers.0.rms_norm.weight", "layers.1.rms_norm.weight"]),
        (["repeat 1 as up { x = rms_norm(x) as n }", "return rms_norm(x) as n"], ["up.0.n.weight", "n.weight"]),
        (["repeat 1 { repeat 1 { x = rms_norm(x) } }", "return x"], ["layers.0.layers.0.rms_norm.weight"]),
        (["repeat 1 { x = relu(x) }", "repeat 1 { x = rms_norm(x) }", "return x"], ["layers_1.0.rms_norm.weight"]),
        (["if true { y = rms_norm(x) } else { y = rms_norm(x) }", "return y"], ["y.weight"]),
        (["return exp(rms_norm(x))"], ["rms_norm.weight"]),
        (["param scale: f32[8] = 1", "return x * scale"], ["scale"]),
    ],
)
def test_parameters_are_named_by_binding(lines: list[str], expected: list[str], elaborate: Elaborate) -> None:
    assert paths(elaborate(component(*lines))) == expected


def test_nested_blocks_make_one_path(elaborate: Elaborate) -> None:
    blocks = "block ffn(x: f32[..., C]) { return linear(relu(linear(x, 2 * C) as up), C, bias = false) as down }\n"
    program = elaborate(blocks + component("return ffn(x) as mlp"))
    assert paths(program) == ["mlp.up.weight", "mlp.up.bias", "mlp.down.weight"]
    op = next(op for op in program.functions["c"].ops if op.name == "relu")
    assert op.origin.path == "c.mlp"
    assert op.origin.location is not None
    assert (op.origin.location.line, op.origin.location.column) == (1, 43)


def test_a_header_binds_axes_by_pattern(elaborate: Elaborate) -> None:
    blocks = """
    block gate(x: f32[..., C], y: f32[..., C], scale = C // 2, offset = scale + 1) {
        assert scale == 4 and offset == 5
        return x * sigmoid(y)
    }
    """
    assert elaborate(blocks + component("return gate(x, y = x)")).functions["c"].ops[-1].name == "mul"


def test_a_block_has_several_results_and_optional_tensors(elaborate: Elaborate) -> None:
    blocks = """
    block halves(x: f32[B, T, C], y: f32[B, T, C] = none) -> (f32[B, T, C/2], f32[B, T, C/2]) {
        if y != none { x = x + y }
        a, b = split(x, 2)
        return b, a
    }
    """
    program = elaborate(blocks + component("p, q = halves(x)", "r, s = halves(x, x)", "return concat(p, q, r, s)",
                                           result="f32[B, T, 16]"))  # fmt: skip
    assert [op.name for op in program.functions["c"].ops] == ["split", "add", "split", "concat"]


def test_a_repeat_carries_values_and_counts(elaborate: Elaborate) -> None:
    program = elaborate(component("n = 0", "repeat i < 4 { n = n + i; x = relu(x) }", "assert n == 6", "return x"))
    assert len(program.functions["c"].ops) == 4


def test_only_the_taken_branch_is_elaborated(elaborate: Elaborate) -> None:
    lines = ["if n > 3 { y = relu(x) } else if n > 2 { y = tanh(x) } else { y = missing(x) }", "return y"]
    for n, op in ((4, "relu"), (3, "tanh")):
        assert elaborate(component(*lines, values="n = 4"), defines={"n": n}).functions["c"].ops[0].name == op


def test_components_share_the_parameters_of_their_model(elaborate: Elaborate) -> None:
    program = elaborate(f"""
    model m(width = 8, vocab = 10) {{
        {HEAD}
        dim U: label
        param table: f32[vocab, width] = normal(std = 0.02)
        component embed(token: i32[B, U] < vocab) -> f32[B, U, width] {{ return op.embedding(token, table) }}
        component head(x: f32[B, T, width]) -> logits: f32[B, T, vocab] {{ return op.linear(x, table) }}
    }}
    """)
    assert list(program.parameters) == ["table"]
    assert program.sources["table"][1] == Initializer("normal", (("std", 0.02),))
    assert [name for name, _ in program.functions["head"].results] == ["logits"]
    bound = program.functions["embed"].inputs[0].type.bound
    assert bound is not None
    assert bound.value == 10


def test_axes_carry_the_roles_of_their_dimensions(elaborate: Elaborate) -> None:
    program = elaborate("""
    model m(bins = 4) {
        dim B: batch
        dim T: time @ 12.5 Hz
        dim U: label
        dim F: feature = bins
        dim V: vocabulary = 9
        component c(x: f32[B, T, F, 8], y: f32[B, T/2, U, V]) -> f32[B, T, F, 8] { return x }
    }
    """)
    x, y = (value.type for value in program.functions["c"].inputs)
    assert x.roles == (Role.BATCH, Role.TIME, Role.FEATURE, Role.CHANNEL)
    assert y.roles == (Role.BATCH, Role.TIME, Role.LABEL, Role.VOCABULARY)
    assert program.dims == {
        "B": Dim(Role.BATCH), "T": Dim(Role.TIME, Fraction(25, 2)), "U": Dim(Role.LABEL),
    }  # fmt: skip


def test_sections_reach_the_program(elaborate: Elaborate) -> None:
    text = component("return linear(layer_norm(x), V)", result="f32[B, T, V]")
    program = elaborate("dim V: vocabulary = 9\n    component".join(text.rstrip("}\n").split("component", 1)) + """}
    train { objective = ctc(blank = 8, zero_infinity = true) }
    stream { chunk = 32 frames }
    utterance { length = 30 s; labels = 448; prefill = 4 }
    audio { rate = 8 kHz; window = 25 ms; fft = 400; centred = true; decades = 8; floor = 2 ** -24; log = "ln" }
    quantize { c.{a, layer_norm}: palette(bits = 4, group = 16); **.b: int4; **: none }
    }""")  # fmt: skip
    assert program.train.settings == {"objective": ("ctc", {"blank": 8, "zero_infinity": True})}
    assert program.stream.settings == {"chunk": 32}
    assert program.utterance.settings == {"length": 30, "labels": 448, "prefill": 4}
    assert program.audio.settings == {
        "rate": 8000, "window": Fraction(1, 40), "fft": 400, "centred": True, "decades": 8, "floor": 2**-24,
        "log": "ln",
    }  # fmt: skip
    assert [(rule.pattern, rule.quantization) for rule in program.quantize] == [
        ("c.{a, layer_norm}", Quantization("palette", 4, 16)), ("**.b", Quantization("int4", 4)), ("**", None),
    ]  # fmt: skip


def test_overrides_and_variants_change_values(elaborate: Elaborate) -> None:
    text = component("return linear(x, out)", values='out = 8, kind = "a"', result="f32[B, T, out]")
    text += "model wide = m(out = 16)\nmodel wider = wide(out = 2 * 16)\n"
    for model, defines, width in ((None, {}, 32), ("m", {}, 8), ("wide", {}, 16), ("wider", {"out": "5"}, 5)):
        program = elaborate(text, model=model, defines=defines)
        assert program.name == (model or "wider")
        assert program.parameters["c.linear.weight"].type.shape == (width, 8)


@pytest.mark.parametrize("sizes", ["[3, 5, 8]", [3, "5", 8], (3, 5, 8)])
def test_an_override_may_be_a_list(elaborate: Elaborate, sizes: object) -> None:
    text = component("repeat i < len(sizes) { x = linear(x, sizes[i]) }", "return x", values="sizes = [2], out = 8",
                     result="f32[B, T, out]")  # fmt: skip
    program = elaborate(text, defines={"sizes": sizes})
    assert [type_.shape[0] for name, (type_, _) in program.sources.items() if name.endswith("weight")] == [3, 5, 8]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("[1, 2", "a list such as `[1, 2, 4]`"),
        ("[NaN]", "a list such as `[1, 2, 4]`"),
        ("[" * 3000, "a list such as `[1, 2, 4]`"),
        ("[{}]", "a number, true, false, none, a word or a list"),
        (str([0] * 1001), "a list of at most 1,000 entries"),
        ("[1e400]", "a number of at most 256 bits"),
    ],
)
def test_an_override_that_is_no_list_is_refused(check: Check, value: str, told: str) -> None:
    (found,) = check(component("return x", values="sizes = [2]"), defines={"sizes": value})
    assert found.code == "MCT0056"
    assert told in found.message


def test_an_initialiser_is_what_is_written_or_what_fits_the_shape(elaborate: Elaborate) -> None:
    params = ["param a: f32[4, 3, 2]", "param b: f32[4]", "param d: f32[4] = 0.5", "param e: f32[4] = uniform(2)"]
    program = elaborate(component(*params, "return x"))
    assert [initial for _, initial in program.sources.values()] == [
        Initializer("kaiming_uniform", (("fan_in", 6.0),)), Initializer("zeros"),
        Initializer("constant", (("value", 0.5),)), Initializer("uniform", (("bound", 2.0),)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "arguments"),
    [
        ("kaiming_uniform()", {"fan_in": 6.0}),
        ("kaiming_normal(gain = 1)", {"fan_in": 6.0, "gain": 1.0}),
        ("kaiming_normal(9)", {"fan_in": 9.0}),
        ("xavier_uniform()", {"fan_in": 6.0, "fan_out": 8.0}),
        ("xavier_normal(fan_out = 4)", {"fan_in": 6.0, "fan_out": 4.0}),
        ("truncated_normal(0.02 / sqrt(2 * 8))", {"std": 0.005}),
        ("orthogonal(parts = 4)", {"parts": 4.0}),
    ],
)
def test_the_fans_of_a_rule_are_those_of_the_shape(
    elaborate: Elaborate, rule: str, arguments: dict[str, float]
) -> None:
    program = elaborate(component(f"param a: f32[4, 3, 2] = {rule}", "return x"))
    ((_, initial),) = program.sources.values()
    assert (initial.rule, dict(initial.arguments)) == (rule.partition("(")[0], pytest.approx(arguments))


@pytest.mark.parametrize(
    ("declared", "code", "place"),
    [
        ("a: f32[4] = xavier_uniform()", "MCT0090", "xavier_uniform()"),
        ("a: f32[4, 3] = kaiming_normal(0)", "MCT0107", "0"),
        ("a: f32[4, 3] = orthogonal(parts = 3)", "MCT0107", "orthogonal(parts = 3)"),
        ("a: f32[4] = orthogonal()", "MCT0107", "orthogonal()"),
        ("a: f32[4, 3] = truncated_normal(1, cut = -1)", "MCT0107", "cut = -1"),
        ("a: f32[4, 3] = orthogonl()", "MCT0107", "orthogonl"),
        ("a: f32[4, 3] = xavier_uniform(std = 1)", "MCT0091", "std = 1"),
    ],
)
def test_an_initialiser_at_fault_is_told_where_it_stands(check: Check, declared: str, code: str, place: str) -> None:
    (found,) = check(component(f"param {declared}", "return x"))
    assert (found.code, found.span.text if found.span else "") == (code, place)


def test_one_run_reports_the_errors_of_independent_statements(check: Check) -> None:
    found = check(component("a = linear(x, 3.5)", "b = rms_norm(y)", "c = rms_norm(a)", "d = x + c", "return x[0]"))
    assert [(d.code, d.span.location.line) for d in found if d.span] == [("MCT0072", 5), ("MCT0050", 6), ("MCT0077", 9)]


def test_one_run_reports_several_syntax_errors(check: Check) -> None:
    text = component("a = = 3", "b = x +* 2", "if { }", "return x") + "block f(x: ) { return x }\nmodel n( { }\n"
    assert [d.span.location.line for d in check(text) if d.span] == [5, 6, 7, 11, 12]


def test_a_library_is_checked_by_its_names(check: Check) -> None:
    found = check("block f(x: f32[..., C], n) { y = rms_nom(x) + C; return z }")
    assert [d.code for d in found] == ["MCT0051", "MCT0050"]


def test_defaults_that_need_one_another_are_refused(elaborate: Elaborate) -> None:
    with pytest.raises(DiagnosticError) as caught:
        elaborate("block f(x: f32[..., C], a = b, b = a) { return x }\n" + component("return f(x)"))
    assert [d.code for d in caught.value.diagnostics] == ["MCT0050"]


@pytest.mark.parametrize(
    ("scheme", "told"),
    [
        ("int8(per_channel, activations = 16)", "activations have 8 bits, or 16 if it is left out, not 16"),
        ("int8(activations = 8, activations = 8)", "`activations` is given twice"),
        ("int8(per_channel, inputs = 8)", "takes nothing but `per_channel` and `activations`"),
        ("palette(bits = 4, activations = 8)", "go with int8 or int4"),
    ],
)
def test_activations_have_eight_bits_beside_whole_codes_alone(elaborate: Elaborate, scheme: str, told: str) -> None:
    text = component("return linear(x, 8) as up", result="f32[B, T, 8]").rstrip("}\n")
    with pytest.raises(DiagnosticError) as raised:
        elaborate(f"{text}\n}}\nquantize {{ c.up: {scheme} }}\n}}")
    (found,) = raised.value.diagnostics
    assert found.code == "MCT0147"
    assert told in found.message


def test_activations_of_eight_bits_stand_behind_the_way_of_the_weight(elaborate: Elaborate) -> None:
    text = component("return linear(x, 8) as up", result="f32[B, T, 8]").rstrip("}\n")
    program = elaborate(
        f"{text}\n}}\nquantize {{ c.up: int8(per_channel, activations = 8); **: int4(activations = 8) }}\n}}"
    )
    assert [rule.quantization for rule in program.quantize] == [
        Quantization("int8", 8, activations=8), Quantization("int4", 4, activations=8),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "rules", "hints"),
    [
        ("return softplus(x)", "c.softplus: none", ["parameters are"]),
        ("y = elu(x) as kept", "c.kept.**: f32", []),
        ("y = linear(x, 8) as p", "c.p: f32", []),
        ("y = gru(x, 8) as r", "c.r: f32", ["`c.r.**`"]),
        ("y = gru(x, 8) as r", "c.r: int8(per_channel); c.r.**: f32", ["`c.r.**`"]),
        ("y = nothing(x)", "c.r: int8(per_channel)", []),
    ],
)
def test_a_rule_that_matches_nothing_is_told_with_what_there_is(
    line: str, rules: str, hints: list[str], check: Check
) -> None:
    text = component("z = linear(x, 8) as first", line, "return z" if line[0] == "y" else "")
    found = check(text.rstrip().removesuffix("}") + f"quantize {{ {rules} }}\n}}\n")
    told = [each.hint for each in found if each.code == "MCT0143"]
    assert len(told) == len(hints)
    assert all(hint in str(each) for hint, each in zip(hints, told))


@pytest.mark.parametrize(
    ("call", "at", "told"),
    [
        ("attention(x, x, x, heads = 4, within = 4, before = none)", "before = none", "not none"),
        ("attention(x, x, x, heads = 4, within = 2.5)", "within = 2.5", "not 2.5"),
        ("attention(x, x, x, heads = true)", "heads = true", "not true"),
        ("conv1d(x, 8, 3, dilation = 0)", "0", "at least 1"),
    ],
)
def test_a_setting_of_an_op_is_told_at_its_place(call: str, at: str, told: str, check: Check) -> None:
    (problem,) = check(component(f"return {call}"))
    assert problem.span is not None
    assert problem.span.text == at
    assert told in problem.message


def test_an_axis_that_is_not_there_is_told_with_those_that_are(check: Check) -> None:
    (problem,) = check(component('return concat(x, x, axis = "tim")'))
    assert problem.hint == "it has batch, time, channel"
