"""The shipped library, parsed by the definition: the definitions are those of the whole file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.diagnostics.source import SourceFile
from mctc.language import syntax as s
from mctc.language.library import parts
from mctc.language.modules import Loader, _definition, library_root
from mctc.language.parser import parse

from .conftest import Check, component

SHIPPED = sorted(library_root().rglob("*.mct"))


@pytest.mark.parametrize("path", SHIPPED, ids=[str(path.relative_to(library_root())) for path in SHIPPED])
def test_definitions_are_those_of_the_whole_file(path: Path) -> None:
    source = SourceFile(path.name, path.read_text(encoding="utf-8"), shipped=True)
    found = parts(source)
    assert found is not None, "no shipped file needs to be parsed as a whole"
    whole = parse(source).statements
    imports = [statement for statement in whole if isinstance(statement, s.Import)]
    assert [part.name for part in found[: len(imports)]] == [""] * len(imports)
    assert [*imports, *(_definition(source, part) for part in found[len(imports) :])] == [*whole]


@pytest.mark.parametrize(
    "text",
    [
        "block a(x) { return x }; block b(x) { return x }\nx = 1\n",
        "component c(x) {\n}\n",
        "block a(x) {}\nblock a(x) {}",
    ],
    ids=["assignment", "component", "twice"],
)
def test_a_file_that_lines_do_not_tell_apart_is_parsed_as_a_whole(text: str) -> None:
    assert parts(SourceFile("a", text)) is None


def test_a_damaged_definition_is_told_where_it_is_used() -> None:
    source = SourceFile("a", "block a(x) {\n    return\n}\nblock b(x) {\n    return x\n}\n", shipped=True)
    first, second = parts(source) or []
    assert isinstance(_definition(source, second), s.Block)
    with pytest.raises(DiagnosticError):
        _definition(source, first)


def test_only_what_a_spec_uses_is_parsed() -> None:
    loader = Loader()
    module = loader.load(library_root() / "mct_small.mct")
    assert module is not None
    linear = module.find("linear")
    assert linear is not None
    assert "node" not in vars(linear)
    assert linear.node.name.text == "linear"
    assert linear.node is linear.node


def test_a_block_that_an_import_imports_is_told_with_its_file(check: Check) -> None:
    """An import brings what a file defines, not what it imports."""
    (found,) = check('import "lib/conformer.mct"\n' + component("return feed_forward(x)"))
    assert found.code == "MCT0051"
    assert found.hint == "`lib/transformer.mct` has it: import it"


def test_a_block_of_a_file_beside_the_spec_is_told_with_that_file(check: Check, tmp_path: Path) -> None:
    (tmp_path / "inner.mct").write_text("block deep(x) { return x }\n")
    (tmp_path / "outer.mct").write_text('import "inner.mct"\nblock shallow(x) { return deep(x) }\n')
    (found,) = check('import "outer.mct"\n' + component("return deep(x)"))
    assert found.hint == "`inner.mct` has it: import it"
