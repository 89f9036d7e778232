"""`mctc dev new` writes files that are whole but for what it says, with tests that tell when they are filled in."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mctc.cli import dev
from mctc.cli.dev import KINDS, recipe_of, registered, write
from mctc.cli.main import run
from mctc.diagnostics.errors import MctcError
from mctc.ir.text import parse_program
from mctc.rewrite.base import Context

PLUGIN = """
# The folders and lists of the clone belong to the package, as where it is installed with -e.
from pathlib import Path
from runpy import run_path

import mctc.linter.coreml.rules, mctc.passes, mctc.targets

clone = Path(__file__).parent.parent
for package, folder in (
    (mctc.passes, "passes"), (mctc.targets, "targets"), (mctc.linter.coreml.rules, "mctc/linter/coreml/rules")
):
    package.__path__.append(str(clone / folder))
    package.BUILT_IN.update(run_path(str(clone / folder / "__init__.py"))["BUILT_IN"])
"""
LISTS = ("passes/__init__.py", "targets/__init__.py", "mctc/linter/coreml/rules/__init__.py")
NAMES = {"pass": "spell-silu", "rule": "wide-relu", "target": "plain-text"}
TESTS = {"pass": "tests/passes", "rule": "tests/linter/coreml/rules", "target": "tests/targets/plain_text"}
BODIES = {
    "pass": ("""return to.op("maximum", to[op.x], to.op("scale", to[op.x], factor=0.0))""",),
    "rule": (
        """shape = op.shape("x")
    return "wide" if shape and shape[-1] == 256 else None""",
    ),
    "target": (
        """return f"np.maximum({e.ref(op.x)}, 0)\"""",
        """(function,) = functions
        emitter = PlainTextEmitter(program, function, states_as_io=job.states_as_io)
        emitter.values = {value: f'given["{name}"]' for name, value in emitter.ports.taken}
        emitter.emit_ops(RULES)
        results = ", ".join(f'"{name}": {emitter.ref(value)}' for name, value in emitter.ports.given)
        path.write_text(f"import numpy as np\\ndef encoder(given): return {{{results}}}")
        return Emitted({function.name: 1})""",
        """from runpy import run_path

        from mctc.emit.called import Opened

        return Opened({"encoder": run_path(str(artifact))["encoder"]})""",
        """from mctc.driver.options import BuildError
    from mctc.driver.target import Written
    from mctc.emit.ports import element_types, interface
    from mctc.targets.plain_text.target import PlainTextTarget
    from mctc.weights import Weights

    artifact, program = made.folder / "small.plain_text", made.compiled.deployed
    (tmp_path / artifact.name).write_text(artifact.read_text().replace("maximum", "minimum"))
    ports = interface(program.functions["encoder"], artifact.name, element_types("fp32"), 1, states_as_io=True)
    written, weights = Written((artifact.name,), {"encoder": ports}), Weights(program.sources)
    with pytest.raises(BuildError, match="differs from the program"):
        PlainTextTarget().check(made.compiled, weights, tmp_path, BuildOptions(), written)""",
    ),
}
"""What takes the place of every `raise NotImplementedError`, in order."""
TEXTS = {
    "%y = fill_in(%x)": "%z = scale(%x, factor = 0.0)\n        %y = maximum(%x, %z)",
    "FILL-IN-001": "ACME-001",
    "Fill in": "Told",
    "fill in": "told",
}


def filled(kind: str, texts: Mapping[str, str]) -> dict[str, str]:
    """The written files as somebody completes them."""
    bodies = iter(BODIES[kind])
    made = {}
    for path, text in texts.items():
        text = re.sub(r"raise NotImplementedError\(.*\)", lambda _: next(bodies), text)
        for old, new in TEXTS.items():
            text = text.replace(old, new)
        made[path] = text
    assert next(bodies, None) is None
    return made


@pytest.fixture
def clone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What of a clone the command reads, and the fixtures that written tests ask for."""
    shutil.copytree(root / "docs/templates", tmp_path / "docs/templates")
    for name in (*LISTS, "tests/passes/conftest.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, tmp_path / name)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/as_installed.py").write_text(PLUGIN)
    monkeypatch.setattr(dev, "clone", lambda: tmp_path)
    return tmp_path


def outcome(clone: Path, kind: str) -> subprocess.CompletedProcess[str]:
    """Of the written tests of a kind, in a process of their own that begins where no other `mctc` lies."""
    tests = ["--rootdir", str(clone), str(clone / TESTS[kind])]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "as_installed", *tests]
    return subprocess.run(command, cwd=clone / "elsewhere", capture_output=True, text=True, timeout=300)


def test_it_says_what_it_wrote_and_what_comes_next(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dev", "new", "pass", "spell-silu"]) == 0
    said = capsys.readouterr().out
    assert "wrote passes/spell_silu.py" in said
    assert "wrote tests/passes/test_spell_silu.py" in said
    assert "python -m pytest -q tests/passes/test_spell_silu.py" in said
    assert (clone / "passes/spell_silu.py").is_file()
    line = '"spell-silu": "spell_silu:SpellSilu",\n    "split-dimensions": '
    assert line in (clone / "passes/__init__.py").read_text(encoding="utf-8")


def test_a_written_pass_says_where_it_is_to_be_filled_in(clone: Path) -> None:
    text = recipe_of(clone, "pass", "spell-silu").files["passes/spell_silu.py"]
    names: dict[str, Any] = {}
    exec(compile(text, "spell_silu.py", "exec"), names)
    program = parse_program("program @m { dim B: batch function @f(%x: f32[batch B]) { %y = relu(%x) return y = %y } }")
    with pytest.raises(NotImplementedError, match="spell-silu: say which ops"):
        names["SpellSilu"]().run(program, Context())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_written_tests_fail_until_the_files_are_filled_in(clone: Path, kind: str) -> None:
    recipe = recipe_of(clone, kind, NAMES[kind])
    write(clone, recipe)
    before = outcome(clone, kind)
    assert before.returncode == 1, before.stdout + before.stderr
    assert "NotImplementedError" in before.stdout
    for path, text in filled(kind, recipe.files).items():
        (clone / path).write_text(text, encoding="utf-8")
    after = outcome(clone, kind)
    assert after.returncode == 0, after.stdout + after.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_has_the_style_of_the_house(clone: Path, kind: str, root: Path) -> None:
    recipe = recipe_of(clone, kind, NAMES[kind])
    for path, text in recipe.files.items():
        compile(text, path, "exec")
        assert [line for line in text.splitlines() if len(line) > 120] == []
        assert (root / path.split("/")[0]).is_dir()


@pytest.mark.parametrize("name", ["Fold", "fold_it", "-fold", "fold--it", "", "../fold"])
def test_a_name_of_another_form_is_refused(clone: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dev", "new", "pass", "--", name]) == 2
    assert "small letters" in capsys.readouterr().err


def test_nothing_is_written_where_a_file_or_the_name_is_there(clone: Path) -> None:
    (clone / "passes/spell_silu.py").write_text("mine")
    listed = (clone / "passes/__init__.py").read_text(encoding="utf-8")
    with pytest.raises(MctcError, match="is there already"):
        write(clone, recipe_of(clone, "pass", "spell-silu"))
    with pytest.raises(MctcError, match="in the list"):
        write(clone, recipe_of(clone, "pass", "dead-code"))
    assert (clone / "passes/spell_silu.py").read_text() == "mine"
    assert not (clone / "passes/dead_code.py").exists()
    assert (clone / "passes/__init__.py").read_text(encoding="utf-8") == listed


def test_a_line_goes_to_its_place_in_the_list() -> None:
    assert registered('A = {\n    "x": 1,\n    "z": 3,\n}\n', "A = {", '    "y": 2,') == (
        'A = {\n    "x": 1,\n    "y": 2,\n    "z": 3,\n}\n'
    )
    with pytest.raises(MctcError, match="no list"):
        registered("A = {\n}\n", "B = {", '    "y": 2,')


def test_without_a_clone_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(dev, "__file__", str(tmp_path / "site-packages/mctc/cli/dev.py"))
    assert run(["dev", "new", "pass", "fold"]) == 2
    assert "in a clone of mctc" in capsys.readouterr().err
