"""Random well-typed models: several components over time and labels, sections, and compile-time values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from mctc.fuzz.body import CHANNELS, Body, Draw, Shared, Tensor, indented
from mctc.fuzz.growths import TABLE

SCHEMES = (
    "int8(per_channel)", "int8", "int4(per_channel)", "palette(bits = 8)", "palette(bits = 6)", "palette(bits = 4)",
    "palette(bits = 4, group = 8)", "palette(bits = 2, group = 16)", "none",
)  # fmt: skip
RATES = ("100 Hz", "50 Hz", "12.5 Hz")


@dataclass(frozen=True)
class Spec:
    """The text of a model. `streams`: whether every component can be streamed. `multiple`: frames that every rate
    along it divides."""

    text: str
    streams: bool
    multiple: int

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:
        printer.text(self.text)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Component:
    """A component: its text, the frames that every rate along it divides, and whether classes are all that it gives."""

    text: str
    jump: int
    classifies: bool


@st.composite
def specs(draw: Draw, streams: bool | None = None, most: int = 9) -> Spec:
    """A model of one component of two to `most` growths, or of three of about half as many."""
    streams = draw(st.sampled_from([True, True, True, True, False])) if streams is None else streams
    values = {"width": draw(st.sampled_from(CHANNELS[1:])), "vocab": draw(st.sampled_from([5, 16, 33]))}
    shared = Shared(draw, values, streams)
    kinds = draw(st.sampled_from([("encoder",), ("encoder",), ("predictor",), ("encoder", "predictor", "joiner")]))
    made = [_component(shared, kind, most if len(kinds) == 1 else most // 2) for kind in kinds]
    multiple = max(component.jump for component in made)
    return Spec(_text(shared, kinds, made, multiple), streams, multiple)


def _component(shared: Shared, kind: str, most: int) -> Component:
    draw = shared.draw
    if kind == "joiner":
        return _joiner(shared)
    body = Body(shared, "T" if kind == "encoder" else "U", batch=draw(st.sampled_from([True, True, True, False])))
    inputs = _frames(body) if kind == "encoder" else _tokens(body)
    table = TABLE["stream" if shared.streams else "whole"]
    for growth in draw(st.lists(st.sampled_from(table), min_size=2, max_size=most)):
        body.pool.append(growth(body))
    return _closed(body, kind, inputs)


def _frames(body: Body) -> list[str]:
    """Inputs of a component over time: frames of channels, or of features and channels; now and then a second one."""
    channels = body.choice(*CHANNELS)
    if body.choice(True, True, False):
        body.pool.append(Tensor("mel", channels))
        inputs = [f"mel: {body.type(body.pool[0])}"]
    else:
        inputs = [f"mel: f32[{', '.join(body.axes(1, 'F', 2))}]"]
        body.pool.append(body.let("merge_channels(mel)", 8, 1))
    if body.choice(True, False):
        body.pool.append(Tensor("beside", 4))
        inputs.append(f"beside: {body.type(body.pool[-1])}")
    if body.choice(False, False, False, True):
        body.masks.append(body.let('cast(exists, "f32")', 1, 1).name)
        inputs.append(f"exists: i32[{body.symbol}] < 2")
    return inputs


def _tokens(body: Body) -> list[str]:
    """Inputs of a component over labels: token ids, looked up in a table that is small or worth compressing."""
    axes = ", ".join(body.axes(1))
    width = body.choice(4, 8)
    entries = "V" if width == 4 or body.choice(True, False) else "256"
    host = body.choice("", "", ", host = true")  # the app looks the rows up
    if body.choice(True, False):
        made = f"embedding(token, {entries}, {width}{host})"
    else:
        made = f"op.embedding(token, {body.parameter(entries, width)}{host})"
    body.pool.append(body.let(made, width, 1))
    if body.choice(False, True):
        axes_of = [f'["{role}", {extent}]' for role, extent in zip(body.roles(), [*body.axes(1), "1"], strict=True)]
        column = f'reshape(cast(token, dtype = "f32") / 16, [{", ".join(axes_of)}])'
        body.pool.append(body.let(f"{column} * {body.parameter(4)}", 4, 1))
    return [f"token: i32[{axes}] < V"]


def _joiner(shared: Shared) -> Component:
    """What frames and labels meet in: every frame against every label."""
    body = Body(shared, "T", joint=True)
    width = body.choice(*CHANNELS)
    b, n = "B", body.number(width)
    body.say(f"enc_proj = linear(enc, {n}); pred_proj = linear(pred, {n})")
    body.pool.append(body.let("tanh(enc_proj + pred_proj)", width, 1))
    for growth in shared.draw(st.lists(st.sampled_from(TABLE["joint"]), max_size=4)):
        body.pool.append(growth(body))
    inputs = [f"enc: f32[{b}, T, {body.choice(*CHANNELS)}]", f"pred: f32[{b}, U, {body.choice(*CHANNELS)}]"]
    return _closed(body, "joiner", inputs)


def _closed(body: Body, name: str, inputs: Sequence[str]) -> Component:
    """The component's text: the last tensor and up to two others are its results; one may be a vocabulary's logits."""
    results = [body.pool[-1], *(body.any() for _ in range(body.whole(0, 2)))]
    types = [body.type(x) for x in results]
    names = [x.name for x in results]
    if name == "joiner" or body.choice(True, False):
        logits = body.let(f"linear({results[0].name}, V) as {body.shared.fresh('head')}", 0, results[0].jump)
        names[0] = body.choice(logits.name, f"log_softmax({logits.name})")
        types[0] = f"f32[{', '.join(body.axes(results[0].jump, 'V'))}]"
    names = [
        body.choice(n, f"0.5 * {n}") if n in names[:i] or n in ("mel", "beside") else n for i, n in enumerate(names)
    ]
    if len(names) == 1 and body.choice(True, False):
        declared = types[0]
    else:
        declared = "(" + ", ".join(f"out_{i}: {type_}" for i, type_ in enumerate(types)) + ")"
    head = f"component {name}({', '.join(inputs)}) -> {declared} {{"
    text = "\n".join([head, indented([*body.lines, f"return {', '.join(names)}"]), "}"])
    classifies = len(names) == 1 and types[0].endswith(", V]")
    return Component(text, max(x.jump for x in body.pool), classifies)


def _text(shared: Shared, kinds: Sequence[str], made: Sequence[Component], multiple: int) -> str:
    draw = shared.draw
    lines = [f'import "{name}"' for name in sorted(shared.imports)]
    lines += [f"{block}\n" for block in shared.blocks]
    header = ", ".join(f"{name} = {value}" for name, value in shared.values.items())
    inner = ["dim B: batch", f"dim T: time @ {draw(st.sampled_from(RATES))}", "dim U: label"]
    inner += ["dim V: vocabulary = vocab + 1  # entry 0 is the blank", "dim F: feature = 4"]
    inner += [*shared.model_parameters, *(component.text for component in made)]
    if shared.streams:
        inner.append(f"stream {{ chunk = {multiple * draw(st.sampled_from([1, 2, 4]))} frames }}")
    inner += _sections(draw, kinds, made)
    return "\n".join([*lines, f"model fuzzed({header}) {{", indented(inner), "}", ""])


def _sections(draw: Draw, kinds: Sequence[str], made: Sequence[Component]) -> list[str]:
    sections = []
    rules = draw(st.lists(st.sampled_from(SCHEMES), max_size=3))
    if rules:
        patterns = [f"{draw(st.sampled_from(kinds))}.**", "**.{up*, down*, weight}", "**"]
        patterns[1] = draw(st.sampled_from(["**.weight", f"{kinds[0]}.*", "**.layers.*.**"]))
        told = "; ".join(f"{pattern}: {scheme}" for pattern, scheme in zip(patterns, rules))
        sections.append(f"quantize {{ {told} }}")
    if tuple(kinds) == ("encoder",) and made[0].classifies and draw(st.booleans()):
        sections.append(f"train {{ objective = ctc(blank = {draw(st.sampled_from([0, 5]))}) }}")
    return sections
