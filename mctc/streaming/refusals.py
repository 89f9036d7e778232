"""What can't be called as the sections say: located errors that name the way out."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm

from mctc.diagnostics.diagnostic import DiagnosticError, diagnostic_at
from mctc.ir.dims import Extent
from mctc.ir.location import Location
from mctc.ir.program import Function, Op, Program
from mctc.ir.time import Whole
from mctc.ir.types import Role, TensorType
from mctc.streaming.lengths import dimensions, rate_of

WHOLE = "MCT0201"  # needs the whole utterance
DIVIDE = "MCT0202"  # a length that gives no whole number of frames
LABELS = "MCT0209"  # runs along labels that come one a call
AT_ONCE = "say `utterance { length = 30 s }`: it takes all of one at once"


def milliseconds(seconds: Fraction) -> str:
    return f"{float(1000 * seconds):g} ms"


def takes_whole(
    function: Function, op: Op, behaviour: Whole, role: Role, counts: Sequence[int] = ()
) -> DiagnosticError:
    """Of an op whose result at one frame or label depends on all of them. counts: frames of a call that came, and how
    many they come late, in turn, where whole blocks of them would do."""
    what = f"{op.name} needs the whole utterance, so {function.name} cannot be streamed: {behaviour.reason}"
    hint = f"write {behaviour.instead}" if behaviour.instead else "replace it by an op with a bounded view"
    if counts and behaviour.block is not None:
        hint = f"choose a chunk or blocks so that these divide: {_not_whole(counts, behaviour.block)}"
    if role is Role.TIME:
        hint += f", or {AT_ONCE}"
    elif behaviour.bound is not None:
        hint = "say how many labels an utterance has at most: `utterance { labels = 448 }`"
    return _error(op.origin.location, WHOLE, what, hint)


def _not_whole(counts: Sequence[int], block: int) -> str:
    frames = next((count for count in counts[::2] if count % block), None)
    if frames is not None:
        return f"a call has {frames} frames here, no multiple of {block}"
    late = next(count for count in counts[1::2] if count % block)
    return f"frames come {late} late here, by what looks ahead before it, no multiple of {block}"


def several_times(function: Function, symbols: list[str]) -> DiagnosticError:
    """Of a component that takes frames of several time dimensions: nothing says which frames of them come together."""
    listed = " and ".join((", ".join(symbols[:-1]), symbols[-1]))
    what = f"{function.name} takes frames of {listed}, so it cannot be streamed: a step goes along one time dimension"
    hint = f"count them all in one, as `{symbols[-1]}/4` or `2 * {symbols[-1]}`, give each a component, or {AT_ONCE}"
    return _error(function.origin.location, WHOLE, what, hint)


def no_stream(function: Function, extent: Extent) -> DiagnosticError:
    """Of an input whose extent is no multiple of the frames or labels that come in: T + 1."""
    what = f"{function.name} takes {extent} entries, and those of a stream are counted from call to call"
    hint = "let each input have a multiple of its dimension: `T`, `2 * T`, `T/4`"
    return _error(function.origin.location, DIVIDE, what, hint)


def no_length(function: Function) -> DiagnosticError:
    """Of a component over labels that reads frames, where nothing says how many an utterance has."""
    what = f"{function.name} goes on label by label and reads a whole utterance of frames, but nothing says how long"
    return _error(function.origin.location, WHOLE, f"{what} one is", "for example `utterance { length = 30 s }`")


def no_whole_frames(
    program: Program, function: Function, symbol: str, frames: Fraction, what: str = "a chunk"
) -> DiagnosticError:
    """Of a length that is no whole number of frames of a time dimension."""
    rate = rate_of(program, symbol)
    assert rate is not None, "without a rate, lengths are frames"
    text = f"{what} of {milliseconds(frames / rate)} is {float(frames):g} frames of {symbol} at {rate} Hz"
    return _error(function.origin.location, DIVIDE, f"{text}, not a whole number", whole_times(program))


def whole_times(program: Program) -> str:
    """Which times give whole numbers of frames everywhere."""
    return f"every time dimension needs a whole number: choose a multiple of {milliseconds(_common(program))}"


def no_whole_extent(
    program: Program, function: Function, op: Op | None, type_: TensorType, taken: dict[str, int], what: str
) -> DiagnosticError:
    """Of a type that has no whole number of entries for what a call takes of each dimension."""
    axis = next(axis for axis in type_.axes if not _comes_out(axis.extent, taken))
    symbol = min(axis.extent.symbols)
    location, count, least = (op or function).origin.location, taken[symbol], multiple(function, symbol)
    if axis.role is not Role.TIME:
        text = (
            f"{function.name} takes {count} of {symbol} a call, which gives no whole number of them for {axis.extent}"
        )
        hint = f"let {symbol} count the fewest there are, and write the others as `{least} * {symbol}`"
        return _error(location, LABELS, text, hint)
    text = f"{what} of {count} frames of {symbol} gives no whole number of frames for {axis.extent}"
    rate = rate_of(program, symbol)
    lasting = "" if rate is None else f" ({milliseconds(least / rate)})"
    return _error(location, DIVIDE, text, f"choose {what} that is a multiple of {least} frames of {symbol}{lasting}")


def along_labels(function: Function, op: Op, symbol: str) -> DiagnosticError:
    """Of an op that runs along labels in a component that goes along time."""
    what = (
        f"{op.name} runs along the labels of {symbol}, but {function.name} goes along time and takes one label a call"
    )
    hint = f"do it in a component without time, or give the labels a fixed extent: `dim {symbol}: label = 16`"
    return _error(op.origin.location, LABELS, what, hint)


def several_labels(function: Function, symbols: list[str]) -> DiagnosticError:
    """Of a component that takes labels of several dimensions."""
    what = f"{function.name} takes labels of {' and '.join(symbols)}: a call takes one label of one dimension"
    hint = f"give the others a fixed extent, for example `dim {symbols[0]}: label = 16`: a call then takes all of them"
    return _error(function.origin.location, LABELS, what, hint)


def multiple(function: Function, symbol: str) -> int:
    """The least number of entries of a dimension that every extent of the function divides."""
    values = [*function.inputs, *(value for op in function.ops for value in op.results)]
    return lcm(*(extent.coefficient(symbol).denominator for value in values for extent in value.type.extents))


def _comes_out(extent: Extent, taken: dict[str, int]) -> bool:
    found = extent.substitute(taken)
    return found == Extent.of(0) or (found.is_static and found.terms[0][1].denominator == 1)


def _common(program: Program) -> Fraction:
    """The least time in seconds that gives every extent of every component a whole number of entries."""
    times: list[Fraction] = []
    for function in program.functions.values():
        rates = {symbol: rate_of(program, symbol) for symbol in dimensions([function], Role.TIME)}
        times += [multiple(function, symbol) / rate for symbol, rate in rates.items() if rate is not None]
    return Fraction(lcm(*(time.numerator for time in times)), gcd(*(time.denominator for time in times)))


def _error(location: Location | None, code: str, text: str, hint: str) -> DiagnosticError:
    return DiagnosticError(diagnostic_at(location, code, text, hint=hint))
