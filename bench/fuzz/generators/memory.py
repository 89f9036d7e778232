"""Frame t from what came before it: recurrent cells, selective scans, attention over a bounded past."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from bench.fuzz.body import BATCH, Body, Generator, Tensor
from bench.fuzz.generators.inputs import mask
from bench.fuzz.generators.pointwise import project

STATES = {"lstm": ("h", "c"), "gru": ("h",)}


def recurrent(b: Body) -> Tensor:
    x, hidden = b.any(), b.choice(2, 4)
    return b.let(f"{b.choice('lstm', 'gru')}({x.name}, {b.number(hidden)})", hidden, x.jump)


def cell(b: Body) -> Tensor:
    """The op itself, with the weights that it is given, a start and marks."""
    x, kind, hidden = b.any(), b.choice(*STATES), b.choice(2, 3, 4)
    rows = (4 if kind == "lstm" else 3) * hidden
    weights = f"{b.parameter(rows, x.channels)}, {b.parameter(rows, hidden)}"
    biases = [b.parameter(rows) for _ in range(b.whole(0, 1 if kind == "lstm" else 2))]
    begins = _start(b, STATES[kind], hidden)
    y = b.let(f"op.{kind}({', '.join([x.name, weights, *biases])}{begins}{_marked(b, x)})", hidden, x.jump)
    return y if hidden % 2 == 0 else project(b, y, 4)


def _start(b: Body, states: tuple[str, ...], hidden: int) -> str:
    """What states are before the first frame: a parameter, or an input with a row for each utterance."""
    given = not b.joint and not (b.batch and b.closed) and b.choice(False, True)
    if not given:
        return ""
    if b.batch:
        made = [b.input("start", f"f32[{BATCH}, {hidden}]") for _ in states]
    else:
        made = [f'reshape({b.parameter(hidden)}, [["channel", {hidden}]])' for _ in states]
    return "".join(f", {state} = {text}" for state, text in zip(states, made, strict=True))


def _marked(b: Body, x: Tensor, operand: str = "mask") -> str:
    """Which frames exist, said to an op by an operand of that name."""
    found = mask(b, x) if b.choice(False, True) else None
    return "" if found is None else f", {operand} = {found}"


def wide_recurrent(b: Body) -> Tensor:
    """A cell with enough weights to be compressed."""
    x = project(b, b.any(), 32)
    y = b.let(f"{b.choice('lstm', 'gru')}({x.name}, 32)", 32, x.jump)
    return b.let(f"0.25 * linear({y.name}, 4)", 4, x.jump)


def scan(b: Body) -> Tensor:
    x = b.any()
    inner, states = x.channels, b.choice(1, 2, 4)
    delta = b.like(x, f"softplus({project(b, b.partner(x), inner).name})")
    decay = f"-exp({b.parameter(inner, states, start='log_arange()')})"
    into, out = project(b, x, states).name, project(b, b.partner(x), states).name
    skip = b.choice("", f", {b.parameter(inner)}")
    return b.like(x, f"selective_scan({x.name}, {delta.name}, {decay}, {into}, {out}{skip}{_marked(b, x)})")


def loop(b: Body) -> Tensor:
    """A recurrence of the spec's own, of one state or two; a gate leaves it too."""
    x, gate, h, c = b.any(), *(b.shared.fresh(stem) for stem in ("g", "h", "c"))
    start = b.choice("", " = 0.5", f" = {b.parameter(x.channels)}")
    second = b.choice(False, True)
    b.say(f"scan {h}: {b.type(x)}{start}{f', {c}: {b.type(x)}' if second else ''} {{")
    b.say(f"    {gate} = sigmoid({b.partner(x).name} + linear({h}, {b.number(x.channels)}))")
    if second:
        b.say(f"    {c} = 0.5 * {c} + {gate}")
    b.say(f"    {h} = {gate} * {h} + (1 - {gate}) * tanh({c if second else x.name})")
    b.say("}")
    return b.like(x, f"{b.choice(h, gate)} + {h}")


def maxima(b: Body) -> Tensor:
    """Running maxima that leak, and two states that turn into one another, frame by frame."""
    x, m = b.any(), b.shared.fresh("m")
    if b.choice(True, False):
        leak = b.choice("0.125", f"sigmoid({b.partner(x).name})")
        b.say(f"scan {m}: {b.type(x)} = {b.choice('-4', '0')} {{ {m} = maximum({m} - {leak}, {x.name}) }}")
        return b.like(x, f"tanh({m})")
    n, was = b.shared.fresh("n"), b.shared.fresh("was")
    b.say(f"scan {m}: {b.type(x)}, {n}: {b.type(x)} = 0.25 {{")
    b.say(f"    {was} = {m}")
    b.say(f"    {m} = 0.5 * {m} - 0.5 * {n} + {x.name}")
    b.say(f"    {n} = 0.5 * {n} + 0.5 * {was}")
    b.say("}")
    return b.like(x, f"0.25 * {m} + sin({n})")


def associations(b: Body) -> Tensor:
    """A matrix of keys and values that decays, is written to by outer products, corrected or not, and read."""
    if b.joint:
        return loop(b)
    x, n, m = b.any(), b.choice(2, 3), b.shared.fresh("m")
    key, query = (f"split_channels({project(b, each, n).name}, groups = 1)" for each in (x, b.partner(x)))
    key = b.like(x, f"sin({key})").name
    keep = f"sigmoid({project(b, x, b.choice(1, x.channels)).name})"
    value = b.choice(f"tanh({b.partner(x).name})", f'({b.partner(x).name} - reduce_sum({m} * {key}, axis = "feature"))')
    axes = ", ".join(b.axes(x.jump, n, x.channels))
    b.say(f"scan {m}: f32[{axes}] {{ {m} = {keep} * {m} + 0.25 * {key} * {value} }}")
    return b.like(x, f'merge_channels(reduce_sum({m} * sin({query}), axis = "feature"))')


RECURRENCES = {  # blocks of the library: the file that each is in
    "decayed_pairs(split_channels({k}, groups = 1), {x}, split_channels({q}, groups = 1), {keep})": "linear_attention",
    "gated_linear_attention({x}, heads = {heads}, keys = 4, rank = 2)": "linear_attention",
    "delta_net({x}, heads = {heads}, kernel = 2)": "linear_attention",
    "delta_net({x}, heads = {heads}, kernel = 2, gated = true)": "linear_attention",
}
CELLS = {"mlstm({x}, heads = {heads})": "xlstm", "slstm({x}, heads = {heads})": "xlstm"}


def of_the_library(b: Body) -> Tensor:
    """A recurrence of the library, over frames or labels."""
    return _from(b, RECURRENCES)


def stabilised(b: Body) -> Tensor:
    """xLSTM's cells, with exponential gates."""
    return _from(b, CELLS)


def _from(b: Body, forms: Mapping[str, str]) -> Tensor:
    if b.joint or not b.batch:
        return associations(b)
    x, form = b.any(), b.choice(*forms)
    b.shared.imports.add(f"lib/{forms[form]}.mct")
    keep = f"split_channels(sigmoid({project(b, x, 2).name}), groups = 1)"
    known = {"k": project(b, x, 2).name, "q": project(b, b.partner(x), 2).name, "keep": keep, "heads": b.choice(1, 2)}
    return b.like(x, f"tanh({form.format(x=x.name, **known)})")


def dual(b: Body) -> Tensor:
    """A scan with one decay a head."""
    x = b.any()
    heads = b.choice(*(n for n in (1, 2, 4) if x.channels % n == 0))
    groups, states = b.choice(*(n for n in (1, 2) if heads % n == 0)), b.choice(1, 2, 4)
    delta = b.let(f"softplus({project(b, b.partner(x), heads).name})", heads, x.jump)
    into, out = (project(b, each, groups * states).name for each in (x, b.partner(x)))
    skip = b.choice("", f", {b.parameter(heads)}")
    decay = f"-exp({b.parameter(heads)})"
    return b.like(x, f"ssd({x.name}, {delta.name}, {decay}, {into}, {out}{skip}{_marked(b, x)}, groups = {groups})")


def written(b: Body) -> Tensor:
    """A scan with one decay a head, of each frame its own; a frame writes or is read twice, or reads itself apart."""
    x = b.any()
    heads = b.choice(*(n for n in (1, 2) if x.channels % n == 0))
    groups, states, writes, reads = b.choice(*{1, heads}), b.choice(1, 2), b.choice(1, 2), b.choice(1, 2)
    keep = b.let(f"-softplus({project(b, b.partner(x), heads).name})", heads, x.jump)
    delta = b.let(f"sigmoid({project(b, x, writes * heads).name})", writes * heads, x.jump)
    values = project(b, x, writes * x.channels).name
    into = project(b, b.partner(x), writes * groups * states).name
    out = project(b, x, reads * groups * states).name
    skip = b.choice("", f", {b.parameter(heads)}") if writes == reads else ""
    own = b.choice("", f", diagonal = sigmoid({project(b, x, writes * heads).name})")
    settings = f"{skip}{own}{_marked(b, x)}, groups = {groups}"
    y = b.let(f"ssd({values}, {delta.name}, {keep.name}, {into}, {out}{settings})", reads * x.channels, x.jump)
    return y if reads == 1 else project(b, y, x.channels)


def remembered(b: Body) -> Tensor:
    """What a recurrence leaves behind, beside the frames where the utterance is taken whole."""
    x = b.any()
    if b.shared.streams or b.joint or not b.batch or b.causal:
        return loop(b)
    h = b.shared.fresh("h")
    if b.choice(True, False):
        b.say(f"scan {h}: {b.type(x)} {{ {h} = 0.5 * {h} + sin({x.name}) }}")
        return b.like(x, f"{b.partner(x).name} + 0.25 * final({h})")
    b.say(f"{h} = lstm({x.name}, {x.channels})")
    name = b.choice("h", "c")
    return b.like(x, f'{b.partner(x).name} - final({h}, "{name}")')


def mamba(b: Body) -> Tensor:
    """The library's block, with its small steps. It takes three axes."""
    if len(b.roles()) != 3:
        return scan(b)
    b.shared.imports.add("lib/mamba.mct")
    x = b.any()
    settings = f"state = {b.choice(1, 2)}, expand = 1, kernel = {b.whole(2, 4)}, dt_rank = {b.choice(1, 2)}"
    return b.like(x, f"{x.name} + mamba({x.name}, {settings})")


def mamba3(b: Body) -> Tensor:
    """The library's block, of one input and output a head or of two."""
    if len(b.roles()) != 3 or b.joint:
        return written(b)
    b.shared.imports.add("lib/mamba3.mct")
    x = b.any()
    settings = f"state = 4, expand = 1, head = {b.choice(1, x.channels)}, rank = {b.choice(1, 2)}"
    return b.like(x, f"{x.name} + tanh(mamba3({x.name}, {settings}))")


def keys_of(b: Body, q: Tensor) -> Tensor:
    """Keys for these queries. A scan multiplies three tensors: behind one keys are bounded, so that scores stay within
    what the finite numbers of masks outweigh (docs/proof.md)."""
    k = b.partner(q)
    scanned = any(name in line for line in b.lines for name in ("selective_scan(", "ssd("))
    return b.like(q, f"tanh({k.name})") if scanned else k


def attention(b: Body) -> Tensor:
    """One query a channel or four: 1 / sqrt(width per head) is exact then."""
    q = b.any()
    heads = q.channels if b.choice(True, False) else max(1, q.channels // 4)
    if q.channels % heads or q.channels // heads not in (1, 4):
        heads = q.channels
    k, v = keys_of(b, q), b.partner(q)
    marks = _marked(b, q, "key_mask")
    band = _band(b)
    settings = f"heads = {heads}, {band}{_bias(b, heads, band)}"
    if heads > 1 and b.choice(True, False):  # grouped: one key and value head serves all
        k, v = project(b, k, q.channels // heads), project(b, v, 2)
        out = b.let(f"attention({q.name}, {k.name}, {v.name}{marks}, {settings}, kv_heads = 1)", 2 * heads, q.jump)
        return project(b, out, 4)
    return b.like(q, f"attention({q.name}, {k.name}, {v.name}{marks}, {settings})")


def _bias(b: Body, heads: int, band: str) -> str:
    """Now and then a bias for each distance of the band."""
    if not b.choice(True, False, False):
        return ""
    sides = [int(side.partition(" = ")[2]) for side in band.split(", ")]
    distances = sum(sides) + 1 if len(sides) == 2 else b.choice(1, 3, 6)  # one side is open: any number
    return f", bias = {b.parameter(heads, distances)}"


def in_blocks(b: Body) -> Tensor:
    """Chunks with and without left context, of frames that no look-ahead delays: a call takes whole blocks."""
    inputs = [x for x in b.pool if any(told.startswith(f"{x.name}:") for told in b.inputs)]
    if b.labels or b.joint or b.in_block or not inputs:
        return attention(b)
    x, within, before = b.choice(*inputs), b.choice(2, 3, 4), b.choice(0, 0, 1, 5)
    b.blocks.append(Fraction(within * x.jump).numerator)
    q, k, v = (project(b, x, 4) for _ in range(3))
    band = f"within = {within}" + (f", before = {before}" if before else "") + b.choice("", ", right = 0")
    shape = b.choice((), (4, 2 * within - 1 + before), (4, within, before + within), (1, within, before + within))
    bias = f", bias = {b.parameter(*shape)}" if shape else ""
    return b.like(q, f"attention({q.name}, {k.name}, {v.name}{_marked(b, x, 'key_mask')}, heads = 4, {band}{bias})")


def _band(b: Body) -> str:
    """How far a query sees: to all labels before it, where the spec says how many those are."""
    if b.labels and b.shared.labels and b.choice(True, False):
        return "right = 0"
    return f"left = {b.whole(0, 4)}, right = {b.ahead(3)}"


def relative_attention(b: Body) -> Tensor:
    """By distance too. A head a channel, for the same reason; sinusoids are rounded, so they count little."""
    q = b.any()
    k, v, heads = keys_of(b, q), b.partner(q), q.channels
    encoded = b.choice(2, 4)
    position = b.parameter(heads, encoded, start="normal(std = 0.03)")
    learnt = f"{position}, {b.parameter(heads)}, {b.parameter(heads)}"
    marks = _marked(b, q, "key_mask")
    settings = f"heads = {heads}, {_band(b)}"
    if (kind := b.choice("", "symmetric", "table")) == "symmetric":
        settings += ", symmetric = true"
    elif kind == "table" and ", right" in settings:
        width = sum(int(side.partition(" = ")[2]) for side in settings.split(", ")[1:])
        settings += f", table = {b.parameter(width + 1, encoded, start='normal(std = 0.3)')}"
    return b.like(q, f"relative_attention({q.name}, {k.name}, {v.name}, {learnt}{marks}, {settings})")


GENERATORS: tuple[Generator, ...] = (
    recurrent,
    cell,
    cell,
    wide_recurrent,
    scan,
    scan,
    loop,
    loop,
    maxima,
    associations,
    associations,
    of_the_library,
    stabilised,
    remembered,
    dual,
    written,
    mamba,
    mamba3,
    attention,
    attention,
    attention,
    in_blocks,
    relative_attention,
)
WHOLE: tuple[Generator, ...] = (remembered,)
