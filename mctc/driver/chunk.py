"""How many frames a call takes: from `stream { chunk = ... }` or the command line."""

from __future__ import annotations

import re
from fractions import Fraction

from mctc.diagnostics.diagnostic import LocatedError
from mctc.driver.options import BuildError, OptionError
from mctc.ir.location import Location
from mctc.ir.program import Program
from mctc.streaming.lengths import Lengths, base_dimension, rate_of
from mctc.streaming.refusals import milliseconds, whole_times

LONGEST = 600  # seconds of sound that a call takes
MOST = 1 << 20  # frames of a call, where nothing says how long one is
_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|frames)?\s*", re.ASCII)


def parse_chunk(text: str) -> Fraction | int:
    """'320 ms' and '0.32s' as seconds, '32' and '32 frames' as frames. Raises OptionError."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise OptionError(f"{text!r} is no length of a chunk", hint="for example 320ms, 0.32s or 32 (frames)")
    number, unit = Fraction(match[1]), match[2]
    if number == 0:
        raise OptionError("a chunk of no length can't be run", hint="for example 320ms or 32 (frames)")
    if unit in ("ms", "s"):
        return number / 1000 if unit == "ms" else number
    if number.denominator != 1:
        raise OptionError(f"{text!r}: a number of frames is whole", hint="for example 320ms or 32 (frames)")
    return int(number)


class LengthError(LocatedError, BuildError):
    """Nothing says how much of the time dimension a call takes, or it is no whole number of frames."""


def lengths(program: Program, asked: Fraction | int | None) -> Lengths:
    """How much of the base dimension a call takes: a chunk, or a whole utterance where the spec has no chunk.

    asked: a length in seconds or in frames of the base, in place of the spec's. Raises LengthError.
    """
    base = base_dimension(program)
    if base is None:
        return Lengths(1)
    length = program.utterance.quantity("length")
    said = program.utterance.places.get("length")
    utterance = None if length is None else _frames(program, base, length, "an utterance", said)
    chunk = program.stream.quantity("chunk") if asked is None else asked
    if chunk is not None:
        return Lengths(
            _frames(program, base, chunk, "a chunk", program.stream.places.get("chunk") if asked is None else None),
            utterance,
        )
    if utterance is None:
        raise LengthError(
            "MCT0205",
            f"{program.name} doesn't say how much audio a call takes",
            next(f.origin.location for f in program.functions.values()),
            hint="write `stream { chunk = 320 ms }` in the model, or pass --chunk 320ms; "
            "`utterance { length = 30 s }` for one that takes all of it at once",
        )
    return Lengths(utterance, utterance, streams=False)


def latencies(program: Program, asked: Fraction | int | None) -> tuple[int, ...]:
    """Frames of the other chunks that the spec lists behind the first; none where one is asked for.

    Raises LengthError for one that is no whole number of frames, or the same as another.
    """
    base, said = base_dimension(program), program.stream.places.get("chunk")
    if asked is not None or base is None:
        return ()
    others = program.stream.quantities("latencies")
    found = [chunk_frames(program, None)]
    for each in others:
        frames = _frames(program, base, each, "a chunk", said)
        if frames in found:
            raise LengthError("MCT0202", f"two chunks of {program.name} are {frames} frames of {base}", said)
        found.append(frames)
    return tuple(found[1:])


def chunk_frames(program: Program, asked: Fraction | int | None) -> int:
    """Frames of the base dimension a call takes. Raises LengthError as `lengths` does."""
    return lengths(program, asked).chunk


def _frames(program: Program, base: str, length: Fraction | int, what: str, said: Location | None) -> int:
    """A length in seconds or frames as frames of the base dimension."""
    rate = rate_of(program, base)
    if isinstance(length, int):
        if length < 1:
            raise OptionError(f"{what} of {length} frames can't be run", hint="for example 320ms or 32 (frames)")
        if length > (MOST if rate is None else LONGEST * rate):
            raise _too_long(program, f"{what} of {length:,} frames", rate, said)
        return length
    if length > LONGEST:
        raise _too_long(program, f"{what} of {float(length):g} s", rate, said)
    if rate is None:
        raise LengthError(
            "MCT0202",
            f"{what} of {float(length * 1000):g} ms needs a rate on the time dimension of {program.name}",
            said,
            hint=f"for example `dim T: time @ 100 Hz`, or {what} in frames",
        )
    frames = Fraction(length) * rate
    if frames.denominator != 1 or frames < 1:
        raise LengthError(
            "MCT0202",
            f"{what} of {milliseconds(length)} is {float(frames):g} frames of {base} at {rate} Hz, not a whole number",
            said,
            hint=whole_times(program),
        )
    return int(frames)


def _too_long(program: Program, told: str, rate: Fraction | None, said: Location | None) -> LengthError:
    most = f"{MOST:,} frames" if rate is None else f"{LONGEST} s"
    place = said or next(function.origin.location for function in program.functions.values())
    return LengthError("MCT0211", f"{told} is more than a call can take", place, hint=f"at most {most}")
