"""Layers around a selective scan with frames first, where that takes less."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mctc.ir.text import parse_program, print_program
from mctc.passes.fold_state_reshapes import FoldStateReshapes
from mctc.passes.frames_first import FramesFirst
from mctc.passes.lower_selective_scan import LowerSelectiveScan
from mctc.passes.pack_states import PackStates
from mctc.rewrite.base import Context

WEIGHTS = {
    "in": "[4w, w, 1, 1]", "taps": "[2w, 1, 1, 4]", "tapbias": "[2w]", "x": "[48, 2w, 1, 1]", "dt": "[2w, 16, 1, 1]",
    "bias": "[2w]", "A": "[2w, 16]", "D": "[2w]", "out": "[w, 2w, 1, 1]", "n": "[w]",
}  # fmt: skip
FIRST = FramesFirst(frames="first")
STATE = "f32[batch 1, channel 2w, unit 1, feature 16]"


def column(channels: int | str, frames: int) -> str:
    return f"f32[batch 1, channel {channels}, unit 1, time {frames}]"


def layer(i: int, x: str, frames: int) -> str:
    """A Mamba layer over %x, all its values named after i."""
    return f"""
        %n{i} = layer_norm({x}, %pn) %uz{i} = conv2d(%n{i}, %pin) %u{i}, %z{i} = split(%uz{i}, parts = 2)
        %j{i} = concat(%past{i}, %u{i}, axis = 3) %new{i} = slice(%j{i}, axis = 3, begin = {frames})
        %c{i} = conv2d(%j{i}, %ptaps, %ptapbias, groups = 2w) %s{i} = silu(%c{i})
        %p{i} = conv2d(%s{i}, %px) %dt{i}, %B{i}, %C{i} = split(%p{i}, sizes = [16, 16, 16])
        %d{i} = conv2d(%dt{i}, %pdt, %pbias) %e{i} = softplus(%d{i})
        %y{i}, %h{i}new = selective_scan(%s{i}, %e{i}, %a, %B{i}, %C{i}, %pD, %h{i})
        %g{i} = silu(%z{i}) %m{i} = mul(%y{i}, %g{i}) %o{i} = conv2d(%m{i}, %pout) %x{i} = add({x}, %o{i})"""


def program(layers: int = 1, frames: int = 8, results: str = "", first: str = "%x", width: int = 64) -> str:
    known = " ".join(f"source @{name}: f32{shape} = normal(std = 0.1) param @{name}" for name, shape in WEIGHTS.items())
    states = "".join(f" state %past{i}: {column('2w', 3)} state %h{i}: {STATE}" for i in range(layers))
    kept = "".join(f" next %past{i} = %new{i} next %h{i} = %h{i}new" for i in range(layers))
    body = "".join(layer(i, first if i == 0 else f"%x{i - 1}", frames) for i in range(layers))
    parameters = " ".join(f"%p{name} = parameter @{name}" for name in WEIGHTS)
    text = f"""program @m {{ {known} function @f(%x: {column("w", frames)}) {{ {states}
        {parameters} %A2 = exp(%pA) %a = neg(%A2) {body} {kept} return y = %x{layers - 1}{results} }} }}"""
    return re.sub(r"\b([24]?)w\b", lambda found: str(int(found[1] or 1) * width), text)


def computed(made: Any) -> list[tuple[str, tuple[int, ...]]]:
    """What is computed, by its op, what is done when the model is compiled and reshapes apart."""
    known: set[Any] = set()
    found = []
    for op in made.functions["f"].ops:
        if op.name in ("parameter", "constant") or (op.operands and all(v in known for v in op.present())):
            known.update(op.results)
        elif op.name != "reshape":
            found.append((op.name, op.result.type.shape))
    return found


def test_a_layer_turns_at_its_edges_alone(rewrites: Any) -> None:
    made, _ = rewrites(FIRST, program())
    assert computed(made) == [
        ("matmul", (1, 1, 8, 64)), ("layer_norm", (1, 8, 1, 64)), ("matmul", (1, 8, 1, 256)), ("split", (1, 8, 1, 128)),
        ("transpose", (1, 3, 1, 128)), ("concat", (1, 12, 1, 128)), ("slice", (1, 3, 1, 128)),
        ("transpose", (1, 128, 1, 3)), ("mul", (1, 12, 5, 128)), ("conv2d", (1, 8, 1, 128)), ("silu", (1, 8, 1, 128)),
        ("matmul", (1, 8, 1, 48)), ("split", (1, 8, 1, 16)), ("matmul", (1, 8, 1, 128)), ("add", (1, 8, 1, 128)),
        ("softplus", (1, 8, 1, 128)), ("selective_scan", (1, 8, 1, 128)), ("silu", (1, 8, 1, 128)),
        ("mul", (1, 8, 1, 128)), ("matmul", (1, 8, 1, 64)), ("add", (1, 8, 1, 64)), ("matmul", (1, 1, 64, 8)),
    ]  # fmt: skip


def test_what_was_lowered_has_no_transpose_and_full_rows(rewrites: Any) -> None:
    made, context = rewrites(FIRST, program(2))
    for each in (LowerSelectiveScan(), FoldStateReshapes(), PackStates()):
        made = each.run(made, context)
    ops = computed(made)
    assert "transpose" not in {name for name, _ in ops}
    narrow = [shape for name, shape in ops if shape[-1] < 16]
    assert narrow == [(1, 1, 64, 8)]  # the result, which is a column


def test_a_scan_with_frames_first_computes_the_same_in_ops(rewrites: Any) -> None:
    first = FIRST.run(parse_program(program()), Context())
    made, context = rewrites(LowerSelectiveScan, print_program(first))
    assert any("T=8, least under every reading" in why for _, _, why in context.explanations)
    assert "selective_scan" not in {op.name for op in made.functions["f"].ops}


@pytest.mark.parametrize("form", ["channels_last", "decay", "unrolled"])
def test_a_form_that_is_asked_for_is_taken(rewrites: Any, form: Any) -> None:
    first = print_program(FIRST.run(parse_program(program()), Context()))
    _, context = rewrites(LowerSelectiveScan(form=form), first)
    assert [why for _, _, why in context.explanations] == [f"{form} form as asked for D=128, N=16, T=8"]


@pytest.mark.parametrize(
    ("taps", "how"),
    [("[128, 1, 1, 4]", "pad = [3, 0]"), ("[128, 1, 1, 3]", "pad = [2, 2], dilation = [1, 2]")],
    ids=["padded", "dilated"],
)
@pytest.mark.parametrize("bias", [", %ptapbias", ""])
def test_kernels_along_frames_are_a_product_and_a_sum(rewrites: Any, taps: str, how: str, bias: str) -> None:
    text = program().replace("source @taps: f32[128, 1, 1, 4]", f"source @taps: f32{taps}")
    text = text.replace("%c0 = conv2d(%j0, %ptaps, %ptapbias", f"%c0 = conv2d(%u0, %ptaps{bias}")
    text = text.replace("groups = 128)", f"groups = 128, {how})")
    made, _ = rewrites(FIRST, text)
    assert [shape for name, shape in computed(made) if name == "conv2d"] == [(1, 8, 1, 128)]


def test_the_wider_side_of_a_convolution_at_the_edge_is_not_turned(rewrites: Any) -> None:
    text = program(first="%narrow").replace(f"%x: {column(64, 8)}", f"%x: {column(128, 8)}")
    text = text.replace("%A2 = exp", "%narrow = conv2d(%x, %pout) %A2 = exp")
    made, _ = rewrites(FIRST, text)
    assert computed(made)[:2] == [("conv2d", (1, 64, 1, 8)), ("matmul", (1, 1, 8, 64))]


def test_what_others_read_is_turned_back(rewrites: Any) -> None:
    made, _ = rewrites(FIRST, program(results=", s = %s0"))
    assert [shape for name, shape in computed(made) if name == "matmul"].count((1, 1, 128, 8)) == 1
    assert {value.type.shape for _, value in made.functions["f"].results} == {(1, 64, 1, 8), (1, 128, 1, 8)}


@pytest.mark.parametrize("frames", [1, 32], ids=["one frame", "full rows"])
def test_other_numbers_of_frames_stay(rewrites: Any, frames: int) -> None:
    text = program(frames=frames).replace("begin = 1)", "begin = 1, end = 4)")
    rewrites(FIRST, text, text)


def test_frames_that_do_not_exist_and_factors_of_channels_go_along(rewrites: Any) -> None:
    text = program().replace(f"%x: {column(64, 8)})", f"%x: {column(64, 8)}, %valid: f32[time 8])")
    marks = 'reshape(%valid, axes = [["batch", 1], ["unit", 1], ["unit", 1], ["time", 8]])'
    factors = 'reshape(%pD, axes = [["unit", 1], ["plain", 128], ["unit", 1], ["unit", 1]])'
    text = text.replace("%h0)", "%h0, %valid)").replace(
        "%s0 = silu(%c0)", "%s = silu(%c0) %r = mul(%s, %marks) %s0 = mul(%r, %f)"
    )
    text = text.replace("%A2 = exp", f"%marks = {marks} %f = {factors} %A2 = exp")
    made, context = rewrites(FIRST, text)
    assert ("mul", (1, 8, 1, 128)) in computed(made)
    lowered = LowerSelectiveScan().run(made, context)
    assert [shape for name, shape in computed(lowered) if name == "matmul"].count((1, 1, 8, 64)) == 1


@pytest.mark.parametrize(("frames", "turned"), [(8, True), (32, False)], ids=["all of them", "one has full rows"])
def test_functions_that_share_states_keep_them_in_one_layout(rewrites: Any, frames: int, turned: bool) -> None:
    other = program(frames=frames).partition("function @f(")[2]
    text = program().removesuffix(" }") + f"function @g({other}"
    made, context = rewrites(FIRST, text)
    for function in made.functions.values():
        assert ("matmul" in {op.name for op in function.ops}) == turned
    assert [f.why.split(",")[0] for f in context.refusals] == ([] if turned else ["`g` goes on with the same states"])


def test_other_stacks_stay(rewrites: Any) -> None:
    rewrites(FIRST, program(), program(), stack="coreai")


def test_why_tells_what_either_takes_under_every_reading(rewrites: Any) -> None:
    _, context = rewrites(FIRST, program())
    ((by, _, why),) = context.explanations
    assert by == "frames-first"
    assert why.startswith("16 ops with frames first, as asked for: published ")


@pytest.mark.parametrize(
    ("frames", "why"),
    [(8, "with frames first the engine would save "), (2, "frames first would not take less under every reading: ")],
    ids=["placed on the CPU", "slower"],
)
def test_what_costs_more_or_may_leave_the_engine_stays(rewrites: Any, frames: int, why: str) -> None:
    _, context = rewrites(FramesFirst, program(frames=frames), program(frames=frames))
    assert [refused.why[: len(why)] for refused in context.refusals] == [why]


def test_frames_stay_last_where_that_is_asked_for(rewrites: Any) -> None:
    rewrites(FramesFirst(frames="last"), program(8), program(8))


def test_layers_that_gain_are_turned_without_being_asked(rewrites: Any) -> None:
    made, context = rewrites(FramesFirst, program(12, width=256))
    scans = program(12, width=256).count("selective_scan")
    assert scans == len(context.explanations) > 1  # `mctc why` of each layer says so
    assert all("less under every reading" in why for _, _, why in context.explanations)
    assert "matmul" in {op.name for op in made.functions["f"].ops}
