"""How long a call is: from the command line, the spec, and the frame rate."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.driver.chunk import chunk_frames, parse_chunk
from mctc.driver.options import BuildError
from mctc.ir.dims import Extent
from mctc.ir.program import Dim, Function, Program, Section, Value
from mctc.ir.types import Axis, DType, Role, TensorType


def program(rate: int | None = 100, chunk: object = None) -> Program:
    mel = Value(TensorType(DType.F32, (Axis(Role.TIME, Extent.of("T")), Axis(Role.CHANNEL, Extent.of(80)))), "mel")
    made = Program("p", {"T": Dim(Role.TIME, None if rate is None else Fraction(rate))})
    made.functions["encoder"] = Function("encoder", [mel], [], [("y", mel)])
    made.stream = Section({} if chunk is None else {"chunk": chunk})
    return made


@pytest.mark.parametrize(
    ("text", "meant"),
    [("320ms", Fraction(8, 25)), ("0.32 s", Fraction(8, 25)), ("32", 32), ("32 frames", 32), (" 1s ", Fraction(1))],
)
def test_lengths_are_read(text: str, meant: Fraction | int) -> None:
    assert parse_chunk(text) == meant


@pytest.mark.parametrize("text", ["", "fast", "-3", "0", "0ms", "1.5", "1.5 frames", "3 h", "1..5s"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(BuildError, match=r"chunk|whole"):
        parse_chunk(text)


def test_the_command_line_comes_before_the_spec() -> None:
    assert chunk_frames(program(chunk=Fraction(8, 25)), None) == 32
    assert chunk_frames(program(chunk=Fraction(8, 25)), Fraction(16, 100)) == 16
    assert chunk_frames(program(chunk=Fraction(8, 25)), 5) == 5
    assert chunk_frames(program(rate=None, chunk=12), None) == 12


@pytest.mark.parametrize(
    ("made", "asked", "match"),
    [
        (program(), None, "doesn't say how much audio"),
        (program(rate=None), Fraction(1, 10), "needs a rate on the time dimension"),
    ],
)
def test_a_chunk_without_whole_frames_is_refused(made: Program, asked: Fraction | None, match: str) -> None:
    with pytest.raises(BuildError, match=match):
        chunk_frames(made, asked)


def test_a_time_that_is_no_whole_number_of_frames_is_refused() -> None:
    with pytest.raises(DiagnosticError, match="not a whole number") as caught:
        chunk_frames(program(), Fraction(1, 300))
    assert caught.value.diagnostics[0].code == "MCT0202"


def test_a_program_without_time_takes_one_step_a_call() -> None:
    made = program()
    made.functions["encoder"].inputs = []
    assert chunk_frames(made, None) == 1


@pytest.mark.parametrize(
    ("rate", "asked"),
    [(100, Fraction(601)), (100, Fraction(100_000)), (100, 60_001), (16_000, 10**9), (None, 2**20 + 1)],
)
def test_a_call_takes_no_more_than_ten_minutes(rate: int | None, asked: Fraction | int) -> None:
    for made, given in ((program(rate), asked), (program(rate, chunk=asked), None)):
        with pytest.raises(DiagnosticError, match="more than a call can take") as caught:
            chunk_frames(made, given)
        assert caught.value.diagnostics[0].code == "MCT0211"
    assert chunk_frames(program(100), Fraction(600)) == chunk_frames(program(100), 60_000) == 60_000
    assert chunk_frames(program(None), 2**20) == 2**20
