"""The registry finds what packages and files bring, imports late, and names the plugin at fault."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mctc.passes
from mctc.plugins import Plugin, PluginError, Registry, registry
from mctc.rewrite.base import Exact

PASS = """
from mctc.rewrite.base import Exact, Pass

class {cls}(Pass):
    name = "{name}"
    promise = Exact()

    def run(self, program, context):
        return program
"""


def package(folder: Path, name: str, entry_points: str) -> None:
    """What pip leaves of an installed package, as far as entry points go."""
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(entry_points)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the import path; the registry is read anew."""
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.cache_clear()
    yield tmp_path
    registry.cache_clear()
    for name in [
        name for name, module in sys.modules.items() if str(tmp_path) in (getattr(module, "__file__", "") or "")
    ]:
        del sys.modules[name]


def test_the_built_in_passes_targets_and_rules_are_found_by_their_lists(site: Path) -> None:
    for kind in ("passes", "targets", "rules"):
        assert registry().names(kind)
        for name in registry().names(kind):
            assert registry().plugin(kind, name).origin.startswith("mctc ")
            assert registry().load(kind, name).name == name


def test_every_pass_in_the_folder_is_in_the_list(root: Path) -> None:
    declared = {
        node.name
        for file in (root / "passes").glob("*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
        and any(re.match(r"name\b.* = \"", ast.unparse(line).replace("'", '"')) for line in node.body)
    }
    listed = {cls.__name__ for cls in registry().passes().values() if cls.__module__.startswith("mctc.passes.")}
    assert declared
    assert listed == declared


def test_a_package_brings_a_pass_that_is_imported_only_when_used(site: Path) -> None:
    package(site, "speech-tricks", "[mctc.passes]\nclamp-delta = late_tricks:Clamp\n")
    (site / "late_tricks.py").write_text(PASS.format(cls="Clamp", name="clamp-delta"))
    assert "clamp-delta" in registry().names("passes")
    assert "late_tricks" not in sys.modules
    assert registry().passes()["clamp-delta"].promise == Exact()
    assert registry().plugin("passes", "clamp-delta").origin == "speech-tricks 1.2"


def test_two_packages_with_the_same_name_for_a_pass_are_both_named(site: Path) -> None:
    package(site, "first-one", "[mctc.passes]\nclamp = a:A\n")
    package(site, "second-one", "[mctc.passes]\nclamp = b:B\n")
    with pytest.raises(PluginError, match=r"`clamp`.*(first|second)-one 1.2.*(first|second)-one 1.2"):
        registry()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import nowhere_to_be_found\n", "broken-one 1.2.*ModuleNotFoundError.*nowhere_to_be_found"),
        ("1 / 0\n", "broken-one 1.2.*ZeroDivisionError"),
        ("", "broken-one 1.2.*AttributeError"),
        (PASS.format(cls="Clamp", name="other"), "entry point `clamp` of broken-one 1.2.*'other'"),
    ],
)
def test_a_package_that_does_not_import_is_named(site: Path, source: str, message: str) -> None:
    package(site, "broken-one", "[mctc.passes]\nclamp = broken_module:Clamp\n")
    (site / "broken_module.py").write_text(source)
    with pytest.raises(PluginError, match=message):
        registry().load("passes", "clamp")


def test_a_line_in_the_list_brings_a_pass_without_an_installation(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mctc.passes.BUILT_IN, "clamp-delta", "clamp_delta:Clamp")
    monkeypatch.setattr(mctc.passes, "__path__", [*mctc.passes.__path__, str(site)])
    (site / "clamp_delta.py").write_text(PASS.format(cls="Clamp", name="clamp-delta"))
    assert registry().load("passes", "clamp-delta").promise == Exact()
    assert registry().plugin("passes", "clamp-delta").origin.startswith("mctc ")


def test_lists_of_an_installation_before_there_were_lists_are_not_read(site: Path) -> None:
    package(
        site, "mctc", "[mctc.passes]\ndead-code = mctc.passes.nowhere:Nothing\nnothing = mctc.passes.nowhere:Nothing\n"
    )
    assert "nothing" not in registry().names("passes")


def test_a_source_folder_without_installation_says_to_install(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mctc.passes", None)
    with pytest.raises(PluginError, match="not installed") as caught:
        registry()
    assert caught.value.hint is not None
    assert "pip install" in caught.value.hint


def test_a_file_brings_what_it_lists_once(tmp_path: Path) -> None:
    file = tmp_path / "clamp.py"
    file.write_text(PASS.format(cls="Clamp", name="clamp") + 'MCTC_PLUGINS = {"passes": [Clamp]}\n')
    found = Registry()
    assert [plugin.name for plugin in found.load_file(file)] == ["clamp"]
    assert found.load_file(file) == ()
    assert found.plugin("passes", "clamp").origin == str(file)
    assert found.passes()["clamp"].stage == "common"


def test_a_file_cannot_replace_a_pass_silently(tmp_path: Path) -> None:
    file = tmp_path / "clamp.py"
    file.write_text(PASS.format(cls="Clamp", name="clamp") + 'MCTC_PLUGINS = {"passes": [Clamp]}\n')
    found = Registry()
    found.add(Plugin("passes", "clamp", "mctc 0.1.0", lambda: None))
    with pytest.raises(PluginError, match=r"`clamp`: one of mctc 0.1.0, one of .*clamp\.py"):
        found.load_file(file)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\n", "no MCTC_PLUGINS"),
        ("def broken(:\n", "SyntaxError"),
        ("raise SystemError('out of order')\n", "SystemError: out of order"),
        ("import sys; sys.exit(0)\n", "SystemExit: 0"),
        ("exit()\n", "SystemExit"),
        ("import nowhere_to_be_found\n", "ModuleNotFoundError"),
        ("MCTC_PLUGINS = []\n", r"must be a table of lists by kind, not \[\]"),
        ("MCTC_PLUGINS = 'passes'\n", "must be a table"),
        ('MCTC_PLUGINS = {"passes": []}\n', "lists nothing in MCTC_PLUGINS, so it brings nothing"),
        ('MCTC_PLUGINS = {"pases": []}\n', "has the kind 'pases'"),
        ("MCTC_PLUGIN = {}\n", "has no MCTC_PLUGINS, so it brings nothing"),
        ('MCTC_PLUGINS = {"passes": "Clamp"}\n', "must be a list"),
        ('MCTC_PLUGINS = {"pass": [int]}\n', "kind 'pass'"),
        ('MCTC_PLUGINS = {"passes": int}\n', "must be a list"),
        ('MCTC_PLUGINS = {"passes": [int]}\n', "needs a `name`"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, source: str, message: str) -> None:
    file = tmp_path / "plugin_file.py"
    file.write_text(source)
    with pytest.raises(PluginError, match=message) as caught:
        Registry().load_file(file)
    assert str(file) in str(caught.value)


def test_a_missing_file_and_an_unknown_name_are_errors(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no such plugin file"):
        Registry().load_file(tmp_path / "absent.py")
    with pytest.raises(PluginError, match="no such plugin file"):
        Registry().load_file(tmp_path)
    found = Registry()
    found.add(Plugin("passes", "linear-to-conv", "mctc 0.1.0", lambda: None))
    with pytest.raises(PluginError, match="there is no pass `linear-to-con`") as caught:
        found.load("passes", "linear-to-con")
    assert caught.value.hint == "did you mean `linear-to-conv`?"


def test_the_list_of_deploy_passes_names_those_of_that_stage() -> None:
    every = registry().passes()
    own = {name: cls for name, cls in every.items() if cls.__module__.startswith("mctc.passes.")}
    assert {name for name, cls in own.items() if cls.stage == "deploy"} == mctc.passes.DEPLOY
    for name, cls in own.items():
        near = {each.rstrip("?") for each in (*cls.after, *cls.before)}
        assert name in mctc.passes.DEPLOY or not near & mctc.passes.DEPLOY, f"{name} would miss them in a check"
