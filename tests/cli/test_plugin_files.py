"""An op, a pass and a target from one file, given as --plugin, take part in a build."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

Run = Callable[..., "subprocess.CompletedProcess[str]"]

PLUGIN = '''
from mctc.driver.target import Interface, Target, Written
from mctc.ir.fields import operand
from mctc.ir.op import Op
from mctc.ir.printer import print_program
from mctc.rewrite.base import Exact, Pass
from mctc.rewrite.rewriter import rewrite


class Cube(Op):
    """x * x * x."""

    name = "cube"
    x = operand()

    def infer(self):
        return (self.x.type,)

    def reference(self, x):
        return (x**3,)


class LowerCube(Pass):
    """Cubes become two multiplications."""

    name = "lower-cube"
    promise = Exact()
    stage = "deploy"

    def run(self, program, context):
        return rewrite(program, self.name, lower)


def lower(op, to):
    if not isinstance(op, Cube):
        return None
    x = to[op.x]
    return to.op("mul", to.op("mul", x, x), x)


class Text(Target):
    """Writes the deployed program as text."""

    name = "text"

    def write(self, compiled, weights, folder, options, metadata):
        program = compiled.deployed
        (folder / "program.txt").write_text(print_program(program))
        ports = {name: Interface("program.txt", name, (), (), (), len(f.ops)) for name, f in program.functions.items()}
        return Written(("program.txt",), ports)

    def check(self, compiled, weights, folder, options, written):
        assert (folder / "program.txt").read_text() == print_program(compiled.deployed)
        return []


MCTC_PLUGINS = {"ops": [Cube], "passes": [LowerCube], "targets": [Text]}
'''
SPEC = """
model cubic {
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(x: f32[B, T, 8]) -> f32[B, T, 8] {
        return op.cube(x)
    }
    stream { chunk = 80 ms }
}
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    (tmp_path / "cubic.mct").write_text(SPEC)
    (tmp_path / "cubes.py").write_text(PLUGIN)
    return tmp_path / "cubes.py"


def test_a_spec_may_use_the_op_only_with_the_plugin(mctc: Run, plugin: Path) -> None:
    assert mctc("check", "cubic.mct", "--plugin", plugin).returncode == 0
    without = mctc("check", "cubic.mct")
    assert without.returncode == 1
    assert "cube" in without.stderr


def test_the_pass_lowers_the_op_and_is_held_to_its_promise(mctc: Run, plugin: Path, tmp_path: Path) -> None:
    done = mctc("build", "cubic.mct", "--plugin", plugin, "--target", "ane", "--verify-each")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "build/cubic/manifest.json").read_text())
    assert "lower-cube" in json.dumps(manifest)


def test_an_op_that_nothing_lowers_is_an_error_that_names_it(mctc: Run, plugin: Path) -> None:
    done = mctc("build", "cubic.mct", "--plugin", plugin, "--target", "ane", "--without", "lower-cube")
    assert done.returncode == 1
    assert "cube" in done.stderr
    assert "internal error" not in done.stderr


def test_the_target_writes_what_it_likes(mctc: Run, plugin: Path, tmp_path: Path) -> None:
    done = mctc("build", "cubic.mct", "--plugin", plugin, "--target", "text")
    assert done.returncode == 0, done.stderr
    assert "mul" in (tmp_path / "build/cubic/program.txt").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("class Cube", "import sys; sys.exit(0)\n\n\nclass Cube"), "cubes.py can't be imported"),
        (("return (self.x.type,)", "raise SystemExit(0)"), "the plugin cubes.py fails"),
        (("return (self.x.type,)", "return self.x.type"), "`infer` of op cube gives"),
        (
            ("class LowerCube", "    behaviour = lambda self: 'now'\n\n\nclass LowerCube"),
            "`behaviour` of op cube gives",
        ),
        (("return rewrite(program, self.name, lower)", "pass"), "pass `lower-cube` of cubes.py returns None"),
        (('return Written(("program.txt",), ports)', "return None"), "target `text` of cubes.py: `write` returns None"),
        (('stage = "deploy"', 'stage = "deploy"\n    after = ("ghost",)'), "pass lower-cube of cubes.py wants to run"),
    ],
)
def test_a_plugin_that_fails_is_named_and_nothing_is_built(
    mctc: Run, plugin: Path, tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    assert change[0] in PLUGIN
    plugin.write_text(PLUGIN.replace(*change))
    target = "text" if "Written" in change[0] else "ane"
    done = mctc("build", "cubic.mct", "--plugin", "cubes.py", "--target", target)
    assert done.returncode == 1
    assert said in done.stderr
    assert "internal error" not in done.stderr
    assert not list(tmp_path.glob("build/*"))
