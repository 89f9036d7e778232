"""`mctc passes` shows the pipeline as it would run, whoever brought the passes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mctc.plugins import registry

pytestmark = pytest.mark.process
Run = Callable[..., "subprocess.CompletedProcess[str]"]
PLUGIN = '''
from mctc.rewrite.base import Exact, Pass


class Early(Pass):
    """Runs before another pass, to be seen in the list."""

    name = "early-bird"
    promise = Exact()
    before = ("{before}",)

    def run(self, program, context):
        return program


MCTC_PLUGINS = {{"passes": [Early]}}
'''


def test_the_table_fits_eighty_columns_and_holds_every_pass(mctc: Run) -> None:
    listed = json.loads(mctc("passes", "--format", "json").stdout)
    done = mctc("passes", COLUMNS="80")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
    places = [re.search(rf"\b{row['name']}\b(?!-)", done.stdout) for row in listed]
    assert None not in places
    assert len(listed) == len(registry().names("passes"))
    stages = [row["stage"] for row in listed]
    assert stages == sorted(stages, key=("common", "number", "deploy").index)


def test_the_page_of_every_pass_fits_eighty_columns() -> None:
    from mctc.cli.passes import _page, row_of

    for name in registry().names("passes"):
        assert max(map(len, _page(row_of(name)))) <= 80, name


def test_a_pass_from_a_file_is_placed_where_it_asks_and_named_with_its_file(mctc: Run, tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text(PLUGIN.format(before="linear-to-conv"))
    done = mctc("passes", "--plugin", "early.py", "--format", "json")
    names = [row["name"] for row in json.loads(done.stdout)]
    assert names.index("early-bird") < names.index("linear-to-conv")
    assert "early.py" in mctc("passes", "--plugin", "early.py").stdout


def test_an_unknown_neighbour_is_an_error_that_names_both(mctc: Run, tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text(PLUGIN.format(before="linear-to-con"))
    done = mctc("passes", "--plugin", "early.py")
    assert done.returncode == 1
    assert "early-bird" in done.stderr
    assert "did you mean `linear-to-conv`?" in done.stderr
    assert "Traceback" not in done.stderr
