"""--pass NAME{option=value}: options of passes on the command line, those of plugins too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import click
import pytest

from mctc.cli.pass_option import parse_pass

pytestmark = pytest.mark.process

Run = Callable[..., "CompletedProcess[str]"]
SPEC = """
import "lib/mamba.mct"
model scanned {
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(x: f32[B, T, 8]) -> f32[B, T, 8] { return mamba(x, state = 2) }
    stream { chunk = 40 ms }
}
"""
PLUGIN = '''
from dataclasses import dataclass

from mctc.ir.ops.elementwise import Scale
from mctc.rewrite.base import Pass, Within
from mctc.rewrite.options import option
from mctc.rewrite.pattern import Pattern, Refuse
from mctc.rewrite.rewriter import rewrite


@dataclass(frozen=True)
class Louder(Pass):
    """Scales become larger ones."""

    name = "louder"
    promise = Within(1.0)
    before = ("linear-to-conv",)

    by: float = option(1.0, "how many times as large", least=0)

    def run(self, program, context):
        return rewrite(program, self.name, Pattern(Scale, self.scaled), context=context)

    def scaled(self, op, to):
        if self.by == 1:
            return Refuse("nothing to do")
        return to.op("scale", to[op.x], factor=op.factor * self.by)


MCTC_PLUGINS = {"passes": [Louder]}
'''


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("a-b{c=1}", ("a-b", {"c": "1"})),
        (" a { c = x y , d=none } ", ("a", {"c": "x y", "d": "none"})),
    ],
)
def test_a_pass_and_its_options_are_written_as_one_word(text: str, parsed: object) -> None:
    assert parse_pass(text) == parsed


@pytest.mark.parametrize("text", ["a", "a{}", "a{b}", "a{b=}", "a{b=1", "{b=1}", "a{b=1,}"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not of the form"):
        parse_pass(text)


def test_options_reach_the_pass_and_short_forms_say_the_same(mctc: Run, tmp_path: Path) -> None:
    (tmp_path / "s.mct").write_text(SPEC)
    told = ("--pass", "lower-selective-scan{form=prefix}")
    after = ("show", "s.mct", "--after", "lower-selective-scan", "--locations")
    assert "became its prefix form" in mctc(*after, *told).stdout
    assert "became its prefix form" not in mctc(*after).stdout
    built = mctc("build", "s.mct", "--scan", "prefix", "-o", "short")
    assert built.returncode == 0, built.stderr
    manifest = json.loads((tmp_path / "short/manifest.json").read_text())
    assert manifest["options"]["passes"] == {"lower-selective-scan": {"form": "prefix"}}
    both = mctc("build", "s.mct", "--scan", "prefix", *told)
    assert (both.returncode, both.stderr.splitlines()[0]) == (
        2, "error: option `form` of pass `lower-selective-scan` is given twice",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("lower-selectve-scan{form=decay}", "did you mean `lower-selective-scan`"),
        ("lower-selective-scan{from=decay}", "did you mean `form`?"),
        ("lower-selective-scan{form=decoy}", "did you mean `decay`?"),
        ("louder{by=-1}", "it is a number of at least 0"),
    ],
)
def test_what_there_is_not_is_a_usage_error_with_near_names(mctc: Run, tmp_path: Path, told: str, said: str) -> None:
    (tmp_path / "louder.py").write_text(PLUGIN)
    (tmp_path / "s.mct").write_text(SPEC)
    done = mctc("show", "s.mct", "--pass", told, "--after", "dead-code", "--plugin", "louder.py")
    assert done.returncode == 2
    assert said in done.stderr


def test_a_pass_prints_its_options_with_types_and_defaults(mctc: Run, tmp_path: Path) -> None:
    (tmp_path / "louder.py").write_text(PLUGIN)
    told = mctc("passes", "louder", "--plugin", "louder.py").stdout
    assert told.splitlines()[0] == "louder: a common pass of louder.py, promise: within 1"
    assert "  by: a number of at least 0; 1.0 if left out\n    how many times as large" in told
    assert mctc("passes", "dead-code").stdout.splitlines()[-1] == "no options"
    (row,) = json.loads(mctc("passes", "lower-selective-scan", "--format", "json").stdout)
    assert row["options"][0]["takes"] == "channels_last, decay, unrolled, prefix or none"
    unknown = mctc("passes", "ded-code")
    assert (unknown.returncode, "did you mean `dead-code`" in unknown.stderr) == (2, True)
