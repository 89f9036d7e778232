"""What packages offer of their modules: names that type checkers see are those that are found, at the same places."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mctc.lazy_names import lazy

PACKAGES = ("mctc", "mctc.audio", "mctc.decode", "mctc.driver", "mctc.language", "mctc.tokens")


def test_the_packages_are_all_that_look_names_up(root: Path) -> None:
    files = [*(root / "mctc").rglob("__init__.py"), *(root / "passes").rglob("*.py"), *(root / "targets").rglob("*.py")]
    found = {file.parent.relative_to(root).as_posix() for file in files if "__getattr__ = " in file.read_text("utf-8")}
    assert found == {package.replace(".", "/") for package in PACKAGES}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_type_checker_sees_what_is_looked_up(package: str, root: Path) -> None:
    tree = ast.parse((root / package.replace(".", "/") / "__init__.py").read_text("utf-8"))
    (choice,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    (table,) = (
        ast.literal_eval(node) for node in ast.walk(ast.Module(choice.orelse, [])) if isinstance(node, ast.Dict)
    )
    seen = {alias.name: node.module for node in choice.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    offered = import_module(package)
    assert table
    for name, home in table.items():
        assert seen[name] == f"{package}.{home}"
        assert name in offered.__all__
        assert getattr(offered, name) is getattr(import_module(seen[name]), name)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_imported_without_the_modules_that_it_offers(package: str) -> None:
    code = f"import {package}, sys; print(sorted(name for name in sys.modules if name.startswith({package + '.'!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(["mctc.lazy_names", "mctc.version"] if package == "mctc" else [])


def test_a_name_that_a_package_does_not_have_is_told_as_python_tells_it() -> None:
    with pytest.raises(AttributeError, match=r"^module 'mctc\.tokens' has no attribute 'tabel'$"):
        lazy("mctc.tokens", {"Tokens": "table"})("tabel")
    with pytest.raises(ImportError, match=r"^cannot import name 'tabel' from 'mctc\.tokens'"):
        exec("from mctc.tokens import tabel", {})
