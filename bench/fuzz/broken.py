"""Specs with one fault: each must end in a message that names a place, and write nothing.

FAULTS is the table: what is wrong, where it is put, and the text. `{x}` is a tensor that is bound there.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import strategies as st

from bench.fuzz import files
from bench.fuzz.body import Draw
from bench.fuzz.findings import FindingError, guarded, place_of
from bench.fuzz.specs import specs
from mctc.diagnostics.errors import MctcError
from mctc.driver.make import build
from mctc.driver.options import BuildOptions
from mctc.language import elaborate_file

STAGE = "broken spec"
BOUND = re.compile(r"^        (y\d+) = .*$", re.MULTILINE)  # a statement at the level of a component's body


@dataclass(frozen=True)
class Fault:
    """What is wrong. where: 'statement' (behind one of a component), 'model' (a line of the model), 'component' (one
    more), 'file' (a line above all), or a pattern of what `text` takes the place of."""

    what: str
    where: str
    text: str


def _statements(**texts: str) -> tuple[Fault, ...]:
    return tuple(Fault(what.replace("_", " "), "statement", text) for what, text in texts.items())


def _components(**bodies: str) -> tuple[Fault, ...]:
    head = "component faulty(x: f32[B, T, 8]) -> f32[B, T, 8] {{ return {} }}"
    return tuple(Fault(what.replace("_", " "), "component", head.format(body)) for what, body in bodies.items())


FAULTS: tuple[Fault, ...] = (
    *_statements(
        unknown_name="z = {x} + nowhere",
        unknown_op="z = tahn({x})",
        unknown_argument='z = softmax({x}, axiss = "channel")',
        missing_argument="z = clip({x}, low = 0)",
        one_argument_too_many="z = tanh({x}, {x}, {x})",
        argument_given_twice="z = clip({x}, 0, 1, low = 0)",
        tensor_for_a_number="z = linear({x}, {x})",
        number_for_a_tensor="z = relu(3)",
        wrong_weight="param zw: f32[3, 1000]; z = op.linear({x}, zw)",
        wrong_bias="param zw: f32[1000]; z = op.batch_norm({x}, zw, zw)",
        wrong_rank="param zw: f32[4, 4, 4]; z = op.linear({x}, zw)",
        no_such_axis='z = reduce_mean({x}, axis = "plain")',
        no_such_role='z = reduce_mean({x}, axis = "chanel")',
        softmax_over_time='z = softmax({x}, axis = "time")',
        heads_that_do_not_divide="z = attention({x}, {x}, {x}, heads = 7)",
        window_of_no_length="z = attention({x}, {x}, {x}, heads = 1, left = -1)",
        negative_padding='z = pad({x}, axis = "channel", before = -1)',
        look_ahead_beyond_the_kernel="z = conv1d({x}, 2, 3, look_ahead = 9)",
        empty_slice='z = slice({x}, "channel", begin = 5, end = 2)',
        uneven_split="z, _z = split({x}, 499)",
        sizes_that_do_not_add_up="z, _z = split({x}, sizes = [499, 1])",
        no_order="z = transpose({x}, order = [0, 0])",
        other_number_of_entries='z = reshape({x}, axes = [["channel", 3]])',
        results_as_one="z = tanh(split({x}, 2))",
        one_value_for_two_names="z, _z = tanh({x})",
        false_assertion='assert 1 + 1 == 3, "{x}"',
        negative_repetition="repeat -1 { z = {x} }",
        division_by_zero="z = {x} * (1 / 0)",
        number_too_large="z = {x} * 10 ** 10 ** 10",
        extent_too_large="param zw: f32[10 ** 12]; z = {x} * zw",
        extent_of_zero="param zw: f32[0]; z = {x} * zw",
        fraction_for_an_extent="z = linear({x}, 1 / 3)",
        unknown_initialiser="param zw: f32[4] = gaussian(); z = {x} * zw",
        initialiser_without_its_number="param zw: f32[4] = uniform(); z = {x} * zw",
        parameter_over_time="param zw: f32[U]; z = {x} * zw",
        parameter_declared_twice="param zw: f32[4]; param zw: f32[4]; z = {x} * zw",
        unknown_element_type='z = cast({x}, dtype = "f23")',
        ids_that_are_no_integers="z = embedding({x}, 4, 4)",
        tensor_as_a_condition="if {x} { z = {x} }",
        string_in_arithmetic='z = {x} + "a"',
        comparison_of_tensors="z = {x} < {x}",
        entry_of_a_tensor="z = {x}[0]",
        member_of_a_tensor="z = {x}.shape",
        name_for_an_op="z = tanh({x}) as t",
        same_name_twice="z = linear({x}, 4) as t; z = linear({x}, 4) as t",
        negative_epsilon="z = layer_norm({x}, epsilon = -1)",
        dimension_bound_again="B = 5",
        call_of_a_tensor="z = {x}({x})",
        wrong_product="param zw: f32[1000, 4]; z = {x} @ zw",
        nesting_without_end=f"z = {'(' * 120}{{x}}{')' * 120}",
        section_in_a_body="stream { chunk = 4 frames }",
        open_bracket="z = tanh({x}",
        open_string='assert true, "no end',
        stray_character="z = {x} & {x}",
        half_an_expression="z = {x} +",
        return_before_the_end="return {x}, {x}, {x}, {x}, {x}",
        clip_upside_down="z = clip({x}, 2, 1)",
        block_that_calls_itself="z = endless({x})",
    ),
    *_components(
        unbounded_attention="attention(x, x, x, heads = 2)",
        half_bounded_attention="attention(x, x, x, heads = 2, left = 4)",
        reversed_stream="x + reverse(x, T)",
        mean_over_the_utterance="x - reduce_mean(x, axis = T)",
        padded_stream='slice(concat(x, x, axis = "time"), T, stride = 2)',
        stride_that_does_not_divide="linear(slice(x, T, stride = 7), 8)",
        result_of_another_shape="linear(x, 9)",
        two_results_for_one="split(x, 2)",
        ids_beyond_the_table="embedding(x, 3, 8)",
    ),
    Fault("a kernel that gives another number of frames", "component",
          "component faulty(x: f32[B, T, 8]) -> f32[B, T, 8] { param w: f32[8, 8, 3]; return op.conv1d(x, w) }"),
    Fault("a component without results", "component", "component faulty(x: f32[B, T, 8]) { return x }"),
    Fault("a component that returns nothing", "component", "component faulty(x: f32[B, T, 8]) -> f32[B, T, 8] { }"),
    Fault("ids beyond the table", "component",
          "component faulty(t: i32[B, U] < 9) -> f32[B, U, 4] { return embedding(t, 8, 4) }"),
    Fault("a bound on numbers", "component", "component faulty(x: f32[B, T, 8] < 4) -> f32[B, T, 8] { return x }"),
    Fault("two time axes", "component", "component faulty(x: f32[T, T, 8]) -> f32[T, T, 8] { return tanh(x) }"),
    Fault("an unknown role", "model", "dim W: lable"),
    Fault("time without a rate", "model", "dim W: time"),
    Fault("a rate on labels", "model", "dim W: label @ 100 Hz"),
    Fault("a dimension that is defined twice", "model", "dim B: batch"),
    Fault("a vocabulary without an extent", "model", "dim W: vocabulary"),
    Fault("an unknown section", "model", "strem { chunk = 4 frames }"),
    Fault("an unknown setting", "model", "train { chunk = 4 frames }"),
    Fault("an unknown scheme", "model", "quantize { **: int5(per_channel) }"),
    Fault("scales of blocks", "model", "quantize { **: int4(per_block) }"),
    Fault("a palette of five bits", "model", "quantize { **: palette(bits = 5) }"),
    Fault("groups that are too small", "model", "quantize { **: palette(bits = 4, group = 3) }"),
    Fault("a missing import", "file", 'import "lib/mambo.mct"'),
    Fault("an import outside of the project", "file", 'import "../../../../elsewhere.mct"'),
    Fault("a file that imports itself", "file", 'import "spec.mct"'),
    Fault("a block that is defined twice", "file", "block twice(x: f32[..., C]) { return x }\n" * 2),
    Fault("a lost brace", r"\{(?=\n)", "("),
    Fault("a lost bracket", r"\)(?=\n)", ""),
    Fault("an operator at the start of a statement", r"(?m)^        (?=y\d+ = )", "        * "),
    Fault("a wrong arrow", "->", "=>"),
    Fault("a keyword for a name", r"\by\d+ = ", "return = "),
    Fault("no model", r"(?s)\bmodel .*", ""),
)  # fmt: skip
ENDLESS = "block endless(x: f32[..., C]) { return endless(x) }\n"


@dataclass(frozen=True)
class Broken:
    """A spec with a fault, and the options that it is built with."""

    fault: str
    text: str
    options: BuildOptions


@st.composite
def broken(draw: Draw) -> Broken:
    """A valid spec with one fault of the table put in."""
    fault = draw(st.sampled_from(FAULTS))
    # A component that can't be streamed is no fault where an utterance has a length.
    spec = draw(
        specs(streams=True, most=4).filter(lambda spec: fault.where != "component" or "length" not in spec.text)
    )
    return Broken(fault.what, _damaged(draw, spec.text, fault), BuildOptions(chunk=4 * spec.multiple))


def _damaged(draw: Draw, text: str, fault: Fault) -> str:
    if fault.where == "statement":
        places = list(BOUND.finditer(text))
        at = draw(st.sampled_from(places))
        line = fault.text.replace("{x}", at.group(1))
        damaged = f"{text[: at.end()]}\n        {line}{text[at.end() :]}"
        return ENDLESS + damaged if "endless" in line else damaged
    if fault.where in ("model", "component"):
        if fault.text.startswith("quantize"):
            text = re.sub(r"    quantize \{.*\}\n", "", text)
        head = "    dim F: feature = 4\n"
        return text.replace(head, f"{head}    {fault.text}\n")
    if fault.where == "file":
        return f"{fault.text}\n{text}"
    places = list(re.finditer(fault.where, text))
    at = draw(st.sampled_from(places))
    return text[: at.start()] + fault.text + text[at.end() :]


def check_broken(case: Broken) -> None:
    """Builds it. Raises FindingError unless that ends in a message with a place, and nothing on disk."""
    with tempfile.TemporaryDirectory(prefix="mctc-fuzz-") as name:
        folder = Path(name)
        path = folder / "spec.mct"
        path.write_text(case.text, encoding="utf-8")
        files.write(case.text, folder)
        there = {each.name for each in folder.iterdir()}
        options = replace(case.options, allow_errors=True)
        try:
            guarded(STAGE, lambda: build(path, folder / "out", options))
        except MctcError as error:
            _check_message(error, path, case)
        else:
            raise FindingError(STAGE, f"{case.fault}: it builds")
        left = sorted({each.name for each in folder.iterdir()} - there)
        if left:
            raise FindingError(STAGE, f"{case.fault}: a refused build leaves {', '.join(left)}")


def _check_message(error: MctcError, path: Path, case: Broken) -> None:
    place = place_of(error)
    if place is None:
        raise FindingError(STAGE, f"{case.fault}: no place is named: {error}") from error
    if not error.message.strip() or not guarded(STAGE, error.render).strip():
        raise FindingError(STAGE, f"{case.fault}: the message is empty") from error
    name, _, rest = place.partition(".mct:")
    line = int(rest.split(":")[0]) if rest else 0
    if f"{name}.mct" == str(path) and not 1 <= line <= case.text.count("\n") + 1:
        raise FindingError(STAGE, f"{case.fault}: line {line} does not exist") from error


PIECES = (
    *"(){}[]=+-*/%@:;,.<>#\"'\\ \n0aT",
    "repeat ",
    "if ",
    " as ",
    "->",
    "...",
    "**",
    "none",
    "1e99",
    "9" * 50,
    "\t",
)


@st.composite
def damaged(draw: Draw) -> str:
    """A valid spec with characters or words lost, doubled or added anywhere; it may still be valid."""
    text: str = draw(specs(most=4)).text
    for _ in range(draw(st.integers(1, 3))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 12))
        piece = draw(st.sampled_from((*PIECES, text[at : at + length] * 2)))
        text = text[:at] + piece + text[at + length :]
    return text


def check_damaged(text: str) -> None:
    """Reads it. Raises FindingError for anything but a program or a message with a place."""
    with tempfile.TemporaryDirectory(prefix="mctc-fuzz-") as name:
        path = Path(name) / "spec.mct"
        path.write_text(text, encoding="utf-8")
        files.write(text, path.parent)
        try:
            guarded(STAGE, lambda: elaborate_file(path))
        except MctcError as error:
            _check_message(error, path, Broken("damage", text, BuildOptions()))
