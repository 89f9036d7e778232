"""No text of a spec, and of no program that is read back, becomes code of an emitted module."""

from __future__ import annotations

import ast
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mctc.diagnostics.errors import MctcError
from mctc.driver.compile import compile_program
from mctc.driver.make import build
from mctc.driver.options import BuildOptions
from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.location import Location, Origin
from mctc.ir.program import Dim, Function, Initializer, Parameter, Program, Section, Source, Value
from mctc.ir.types import Axis, DType, Role, TensorType, plain
from mctc.targets.torch.expressions.text import escaped, literal
from mctc.targets.torch.target import TorchTarget
from mctc.weights import Weights

HOSTILE = (
    'x"""; PWNED(); """',
    "x'; PWNED(); '",
    "x\nPWNED()",
    "x\\",
    'x\\"',
    "x\u2028PWNED()",
    "x\rPWNED()",
    "{PWNED()}",
    "x = PWNED() #",
    "../../PWNED",
    "<script>PWNED()</script>",
    "lambda",
    "x" * 5000,
    "\N{GRINNING FACE}",
    "\ud800",
    "",
)
PLACES = ("model", "function", "instance", "block", "input", "parameter", "value", "result", "dim", "file", "objective")


def program(**names: str) -> Program:
    """A program with a name of every kind; `names` by place."""
    n = {place: place for place in PLACES} | names
    path = f"{n['function']}.{n['instance']}"
    made = Program(n["model"], {n["dim"]: Dim(Role.TIME, Fraction(100))})
    if "objective" in names:
        made.train = Section({"objective": ("ctc", {"blank": n["objective"]})})
    weight = f"{path}.{n['parameter']}"
    made.sources[weight] = (plain(DType.F32, 2), Initializer())
    made.parameters[weight] = Parameter(weight, plain(DType.F32, 2), Source(weight, plain(DType.F32, 2)))
    made.instances[path] = n["block"]
    axes = (Role.BATCH, 1), (Role.CHANNEL, 2), (Role.UNIT, 1), (Role.TIME, n["dim"])
    given = Value(TensorType(DType.F32, tuple(Axis(role, Extent.of(extent)) for role, extent in axes)), n["input"])
    place = Location(n["file"], 1, 1)
    builder = Builder(made, Origin(place, path))
    scale = builder.op("reshape", builder.parameter(weight), axes=(("channel", 2), ("unit", 1), ("unit", 1)))
    value = builder.op("mul", given, scale)
    value.name = n["value"]
    shift = builder.constant(np.arange(2.0).reshape(2, 1, 1), ("channel", "unit", "unit"))
    shift.name = n["value"]
    value = builder.op("add", value, shift)
    value.name = n["value"]
    origin = Origin(place, n["function"])
    made.functions[n["function"]] = Function(n["function"], [given], builder.ops, [(n["result"], value)], origin=origin)
    return made


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_string_is_printed_as_itself(text: str) -> None:
    printed = literal(text)
    assert ast.literal_eval(printed) == text
    assert printed.count('"') == 2
    assert len(printed.splitlines()) == 1
    assert ast.literal_eval(f'"""{escaped(text)}"""') == text


@pytest.mark.parametrize("value", [None, True, 3, -2.5, 1e300, (1,), [1, (2.0, "a")], ()])
def test_a_value_is_printed_as_itself(value: object) -> None:
    assert ast.literal_eval(literal(value)) == value


def test_what_has_no_literal_is_no_code() -> None:
    class Shows:
        def __repr__(self) -> str:
            return "PWNED()"

    with pytest.raises(TypeError, match="has no literal"):
        literal(Shows())
    assert (literal(Fraction(6, 2)), literal(Fraction(1, 4)), literal(float("inf"))) == ("3", "0.25", 'float("inf")')


def calls(module: str) -> set[str]:
    """Names that a module's code mentions."""
    return {node.id for node in ast.walk(ast.parse(module)) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("place", PLACES)
def test_a_name_of_a_program_never_becomes_code(place: str, text: str, tmp_path: Path) -> None:
    settings = BuildOptions(target="torch")
    (tmp_path / "out").mkdir()
    try:
        compiled = compile_program(program(**{place: text}), settings, requirements=TorchTarget.requirements)
        TorchTarget().write(compiled, Weights(compiled.whole.sources), tmp_path / "out", settings, {})
    except MctcError:
        return  # refused: nothing is written
    written = sorted(tmp_path.rglob("*.py"))
    assert all(tmp_path / "out" / "training" in path.parents for path in written)
    for path in written:
        assert "PWNED" not in calls(path.read_text(encoding="utf-8"))


def test_a_program_with_plain_names_is_written(tmp_path: Path) -> None:
    settings = BuildOptions(target="torch")
    (tmp_path / "out").mkdir()
    compiled = compile_program(program(), settings, requirements=TorchTarget.requirements)
    written = TorchTarget().write(compiled, Weights(compiled.whole.sources), tmp_path / "out", settings, {})
    tree = ast.parse((tmp_path / "out" / written.artifacts[0]).read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert names == ["BlockBlock", "Function", "Model"]


SPEC = """model m {
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, 64]) -> f32[B, T, 64] { return linear(x, 64) as p }
    stream { chunk = 8 frames }
}
"""


@pytest.mark.parametrize("name", ['a"""\n; PWNED(); """.mct', "a\\.mct", "a\u2028'{}.mct", "<script>PWNED().mct"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(SPEC)
    build(tmp_path / name, tmp_path / "out", BuildOptions(target="ane"))
    for path in (tmp_path / "out" / "training").glob("*.py"):
        assert "PWNED" not in calls(path.read_text(encoding="utf-8"))
    assert "<script>PWNED" not in (tmp_path / "out" / "placement.html").read_text(encoding="utf-8")
