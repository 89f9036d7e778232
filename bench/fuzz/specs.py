"""Random specs: text as an author would write it, one or several components over time and labels, sections around."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from hypothesis import strategies as st

from bench.fuzz.body import CHANNELS, Body, Draw, Jump, Shared, Tensor, indented
from bench.fuzz.generators import TABLE
from bench.fuzz.generators.inputs import memory
from bench.fuzz.generators.pointwise import project
from bench.fuzz.generators.sound import samples
from bench.fuzz.objectives import DURATIONS, objective_of
from bench.fuzz.sections import RATES, sections

KINDS = (
    ("encoder",), ("encoder",), ("predictor",), ("joiner",), ("encoder", "predictor", "joiner"), ("encoder", "decoder"),
    ("encoder", "watcher"),
)  # fmt: skip
SYMBOLS = {"encoder": "T", "watcher": "A", "joiner": "T", "predictor": "U", "decoder": "U"}
TEMPOS = (Fraction(1, 2), Fraction(1, 4), Fraction(2))  # frames of A for each of T


@dataclass(frozen=True)
class Spec:
    """The text of a model. `streams`: whether every component can be streamed. `multiple`: frames of its fastest
    dimension that every rate in it divides. `chunked`: whether it says how much of time a call takes."""

    text: str
    streams: bool
    multiple: int
    chunked: bool

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:
        printer.text(self.text)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Component:
    """A component: its text, the frames that every rate along it divides, whether it gives nothing but classes, for
    frames of its own dimension, its first result, and what a head that only trains may read of it."""

    text: str
    jump: int
    classifies: bool
    result: Tensor
    heard: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """What an objective asks of a component: to take what others give. given: their first results, in order."""

    objective: str
    given: list[Tensor]


@st.composite
def specs(draw: Draw, streams: bool | None = None, most: int = 9) -> Spec:
    """A model of one component of two to `most` generators, or of several of about half as many."""
    streams = draw(st.sampled_from([True, True, False])) if streams is None else streams
    values = {"width": draw(st.sampled_from(CHANNELS[1:])), "vocab": draw(st.sampled_from([5, 16, 33]))}
    shared = Shared(draw, values, streams)
    kinds = draw(st.sampled_from(KINDS))
    shared.length = "decoder" in kinds or (not streams and draw(st.booleans()))
    over_labels = any(SYMBOLS[kind] == "U" for kind in kinds)
    shared.labels = over_labels and draw(st.booleans())
    if over_labels and draw(st.booleans()):
        _share_a_table(shared)
    objective = objective_of(draw, kinds)
    made: list[Component] = []
    for kind in kinds:
        asked = Asked(objective, [component.result for component in made]) if objective is not None else None
        made.append(_component(shared, kind, most if len(kinds) == 1 else most // 2, asked))
    if tuple(kinds) == ("encoder",) and made[0].classifies:
        objective = draw(st.sampled_from(["ctc", "ctc", None]))
    tempo = draw(st.sampled_from(TEMPOS)) if "watcher" in kinds else Fraction(1)
    multiple = _multiple(kinds, made, tempo)
    return Spec(_text(shared, kinds, made, objective, tempo, multiple), streams, multiple, streams or shared.length)


def _multiple(kinds: Sequence[str], made: Sequence[Component], tempo: Fraction) -> int:
    """Frames of the fastest dimension in the shortest time that is whole frames for all."""
    fastest = max(Fraction(1), tempo)
    frames = {"T": fastest, "A": fastest / tempo}
    return lcm(*(int(c.jump * frames.get(SYMBOLS[kind], Fraction(1))) for kind, c in zip(kinds, made, strict=True)))


def _share_a_table(shared: Shared) -> None:
    """Rows for tokens, which are the weights of the classes too; sometimes enough of them to be compressed."""
    shared.values["vocab"] = shared.draw(st.sampled_from([5, 255, 255]))
    shared.table = "table", 8
    shared.model_parameters.append("param table: f32[V, 8] = normal(std = 0.5)")


def _component(shared: Shared, kind: str, most: int, asked: Asked | None) -> Component:
    draw = shared.draw
    if kind == "joiner":
        return _joiner(shared, asked)
    body = Body(shared, SYMBOLS[kind], batch=asked is not None or draw(st.sampled_from([True, True, True, False])))
    if body.labels:
        _tokens(body)
    elif kind == "encoder" and body.batch and body.choice(True, *[False] * 4):
        samples(body)
    else:
        _frames(body, asked is not None)
    if kind == "decoder":
        if asked is not None:
            _hears(body, asked.given[0])
        body.pool.append(memory(body))
    body.closed = body.causal = asked is not None and kind != "encoder"
    table = TABLE["stream" if shared.streams or body.causal else "whole"]
    for generator in draw(st.lists(st.sampled_from(table), min_size=2, max_size=most)):
        body.pool.append(generator(body))
    return _closed(body, kind, asked)


def _hears(body: Body, given: Tensor) -> None:
    """An input that is another component's result."""
    extent = "T" if given.jump == 1 else f"T/{given.jump}"
    name = body.input("memory", f"f32[B, {extent}, {given.channels}]")
    body.memories.append(Tensor(name, given.channels, given.jump))


def _frames(body: Body, plain: bool = False) -> None:
    """Inputs of a component over time: frames of channels, or of features and channels; now and then a second one.
    plain: frames of channels at the rate of the dimension."""
    channels, jump = body.choice(*CHANNELS), 1 if plain else body.choice(1, 1, 1, Fraction(1, 2), 2)
    if plain or body.choice(True, True, False):
        body.pool.append(Tensor("mel", channels, jump))
        body.inputs.append(f"mel: {body.type(body.pool[0])}")
    else:
        body.inputs.append(f"mel: f32[{', '.join(body.axes(jump, 'F', 2))}]")
        body.pool.append(body.let("merge_channels(mel)", 8, jump))
    if body.choice(True, False):
        body.pool.append(Tensor("beside", 4, body.choice(jump, 1)))
        body.inputs.append(f"beside: {body.type(body.pool[-1])}{body.choice('', '', ' in [-1, 1]')}")


def _tokens(body: Body) -> None:
    """Inputs of a component over labels: token ids, looked up in a table that is small or worth compressing."""
    axes = ", ".join(body.axes(1))
    width = body.choice(4, 8)
    entries = "V" if width == 4 or body.choice(True, False) else "256"
    host = body.choice("", "", ", host = true")  # the app looks the rows up
    if body.shared.table is not None:
        name, width = body.shared.table
        made = f"op.embedding(token, {name}{host})"
    elif body.choice(True, False):
        made = f"embedding(token, {entries}, {width}{host})"
    else:
        made = f"op.embedding(token, {body.parameter(entries, width)}{host})"
    body.pool.append(body.let(made, width, 1))
    if body.choice(False, True):
        axes_of = [f'["{role}", {extent}]' for role, extent in zip(body.roles(), [*body.axes(1), "1"], strict=True)]
        column = f'reshape(cast(token, dtype = "f32") / 16, [{", ".join(axes_of)}])'
        body.pool.append(body.let(f"{column} * {body.parameter(4)}", 4, 1))
    body.inputs.append(f"token: i32[{axes}] < V")


def _joiner(shared: Shared, asked: Asked | None) -> Component:
    """What frames and labels meet in: every frame against every label."""
    body = Body(shared, "T", joint=True)
    body.closed = body.causal = asked is not None
    width, jump = body.choice(*CHANNELS), body.choice(1, 1, 2)
    given = [body.choice(*CHANNELS), body.choice(*CHANNELS)]
    if asked is not None:
        jump, given = asked.given[0].jump, [result.channels for result in asked.given]
    b, n = "B", body.number(width)
    body.say(f"enc_proj = linear(enc, {n}); pred_proj = linear(pred, {n})")
    body.pool.append(body.let("tanh(enc_proj + pred_proj)", width, jump))
    for generator in shared.draw(st.lists(st.sampled_from(TABLE["joint"]), max_size=4)):
        body.pool.append(generator(body))
    body.inputs.append(f"enc: f32[{b}, {body.extent(jump)}, {given[0]}]")
    body.inputs.append(f"pred: f32[{b}, U, {given[1]}]")
    return _closed(body, "joiner", asked)


def _fitting(body: Body, name: str, asked: Asked) -> tuple[list[Tensor], list[str], list[str]]:
    """Results, their names and types, of a component that an objective asks for."""
    x = body.pool[-1]
    if name == "encoder":
        whole = [v for v in body.pool if Fraction(v.jump).denominator == 1]
        x = whole[-1] if whole else body.pool[0]
    names, types = [x.name], [body.type(x)]
    if name in ("joiner", "decoder") or (name == "encoder" and asked.objective == "joint_ctc_attention"):
        named, entries = "V", None
        if asked.objective == "tdt" and name == "joiner":
            named, entries = "W", "W"
            body.shared.dims.add(f"dim W: vocabulary = vocab + {1 + DURATIONS}")
        logits = body.let(f"linear({x.name}, W)", 0, x.jump) if entries else _classes(body, x)
        names = [logits.name] if name != "encoder" else [*names, logits.name]
        told = f"f32[{', '.join(body.axes(x.jump, named))}]"
        types = [told] if name != "encoder" else [*types, told]
    if name == "joiner" and asked.objective == "tdt apart":
        names.append(body.let(f"linear({x.name}, {DURATIONS})", DURATIONS, x.jump).name)
        types.append(f"f32[{', '.join(body.axes(x.jump, DURATIONS))}]")
    return [x], names, types


def _part(body: Body, x: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """A part that a head may read, in front of what follows."""
    if not body.batch or body.joint or body.labels or Fraction(x.jump).denominator != 1 or body.choice(True, False):
        return x, ()
    name = body.shared.fresh("inner")
    return body.let(f"linear({x.name}, 4) as {name}", 4, x.jump), (f'"encoder.{name}"',)


def _closed(body: Body, name: str, asked: Asked | None = None) -> Component:
    """The component's text: the last tensor and up to two others are its results; one may be a vocabulary's logits."""
    heard: tuple[str, ...] = ()
    if asked is not None and name != "watcher":
        results, names, types = _fitting(body, name, asked)
        heard = ("encoder",) if name == "encoder" else ()
    else:
        results = [body.pool[-1], *(body.any() for _ in range(body.whole(0, 2)))]
        types = [body.type(x) for x in results]
        names = [x.name for x in results]
        if name == "joiner" or body.choice(True, False):
            read, heard = _part(body, results[0])
            logits = _classes(body, read)
            names[0] = body.choice(logits.name, f"log_softmax({logits.name})")
            types[0] = f"f32[{', '.join(body.axes(results[0].jump, 'V'))}]"
    inputs = [told.partition(":")[0] for told in body.inputs]
    names = [body.choice(n, f"0.5 * {n}") if n in names[:i] or n in inputs else n for i, n in enumerate(names)]
    if asked is None and body.choice(*[False] * 7, True):
        last = _last(body)
        names += [last[0]] if last else []
        types += [last[1]] if last else []
    if asked is None and body.choice(*[False] * 9, True):
        extra = _pooled(body) if not body.shared.streams and body.choice(True, True, False) else _known(body)
        names.append(extra[0])
        types.append(extra[1])
    if len(names) == 1 and body.choice(True, False):
        declared = types[0]
    else:
        declared = "(" + ", ".join(f"out_{i}: {type_}" for i, type_ in enumerate(types)) + ")"
    head = f"component {name}({', '.join(body.inputs)}) -> {declared} {{"
    text = "\n".join([head, indented([*body.lines, f"return {', '.join(names)}"]), "}"])
    classifies = (
        len(names) == 1
        and types[0].endswith(", V]")
        and body.pool[0].jump == 1 <= results[0].jump
        and not body.memories
    )
    jumps = _frames_of([*(x.jump for x in [*body.pool, *body.memories]), *body.blocks])
    return Component(text, jumps, classifies, results[0], heard)


def _last(body: Body) -> tuple[str, str] | None:
    """What a recurrence leaves behind the last frame, as a result, and its type; a stream knows it too."""
    if body.joint or not body.batch:
        return None
    x, h = body.any(), body.shared.fresh("h")
    if body.choice(True, False):
        body.say(f"scan {h}: {body.type(x)} {{ {h} = 0.75 * {h} + 0.25 * sin({x.name}) }}")
        return body.choice("final({})", "tanh(final({}))").format(h), f"f32[B, {x.channels}]"
    body.say(f"{h} = lstm({x.name}, 4)")
    return f'final({h}, "{body.choice("h", "c")}")', "f32[B, 4]"


def _known(body: Body) -> tuple[str, str]:
    """A result without time, the same after every call, and its type."""
    return body.choice("{}", "exp({})").format(body.parameter(4)), "f32[4]"


def _pooled(body: Body) -> tuple[str, str]:
    """One vector for an utterance, and its type."""
    x = body.any()
    leading = [role for role in body.roles() if role == "batch"]
    axes = ", ".join([*('["batch", B]' for _ in leading), f'["channel", {x.channels}]'])
    over = 'reduce_mean({}, axis = "{}")'
    mean = over.format(x.name, "label" if body.labels else "time")
    if body.joint:
        mean = over.format(mean, "label")
    extents = ", ".join([*("B" for _ in leading), str(x.channels)])
    return f"reshape({mean}, axes = [{axes}])", f"f32[{extents}]"


def _frames_of(jumps: Iterable[Jump]) -> int:
    return lcm(*(Fraction(jump).numerator for jump in jumps))


def _classes(body: Body, x: Tensor) -> Tensor:
    """Logits; by the rows of the table that several layers share, where there is one."""
    if body.shared.table is None or body.choice(True, False, False):
        return body.let(f"linear({x.name}, V) as {body.shared.fresh('head')}", 0, x.jump)
    name, width = body.shared.table
    return body.let(f"op.linear({project(body, x, width).name}, {name})", 0, x.jump)


def _text(
    shared: Shared,
    kinds: Sequence[str],
    made: Sequence[Component],
    objective: str | None,
    tempo: Fraction,
    multiple: int,
) -> str:
    draw = shared.draw
    lines = [f'import "{name}"' for name in sorted(shared.imports)]
    lines += [f"{block}\n" for block in shared.blocks]
    header = ", ".join(f"{name} = {value}" for name, value in shared.values.items())
    rate = draw(st.sampled_from(RATES))
    times = [f"dim T: time @ {float(rate):g} Hz"]
    if "watcher" in kinds:
        times.append(f"dim A: time @ {float(rate * tempo):g} Hz")
    inner = ["dim B: batch", *draw(st.permutations(times)), "dim U: label"]
    inner += ["dim V: vocabulary = vocab + 1  # entry 0 is the blank", "dim F: feature = 4", *sorted(shared.dims)]
    inner += [*shared.model_parameters, *(component.text for component in made)]
    heard = [name for component in made for name in component.heard]
    inner += sections(shared, kinds, objective, heard, multiple, rate * max(tempo, Fraction(1)))
    return "\n".join([*lines, f"model fuzzed({header}) {{", indented(inner), "}", ""])
