"""Name maps as files: what is read, and what is refused with the entry at fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.importing import read_map, shipped_maps
from mctc.importing.name_map import MapError, NamePattern

SPECS = Path(__file__).parents[2] / "spec"


def test_a_hole_is_one_element_or_a_part_of_one() -> None:
    assert NamePattern("a.{i}.{p}_proj.w").match("a.3.q_proj.w") == {"i": "3", "p": "q"}
    assert NamePattern("a.{i}.w").match("a.3.b.w") is None
    assert NamePattern("a.{i}.{i}").match("a.3.4") is None
    assert NamePattern("a.{i}").filled({"i": "7"}) == "a.7"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("about = [", "is no name map"),
        ("about = 3", "`about` is a text"),
        ("abuot = 'x'", "there is no `abuot` here"),
        ("tensors = 3", "this is a table of names"),
        ("[tensors]\na = 3", "a: a name, or a list of names, stands here"),
        ("[tensors]\n'a.{i}' = 'b.{j}'", "nothing says what {j} in `b.{j}` is"),
        ("[tensors]\n'a.{i' = 'b'", "a brace that opens no hole"),
        ("[tensors]\na = { form = 'b' }", "there is no `form` here"),
        ("[tensors]\na = { from = 'b', steps = 'add' }", "`steps` is a list of ops"),
        ("[tensors]\na = { from = 'b', steps = ['add'] }", "a step is an op with its attributes"),
        ("[ignored]\na = {}", "say why it is ignored"),
    ],
)
def test_a_broken_map_is_refused_at_the_entry(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(MapError) as caught:
        read_map(path)
    assert words in caught.value.message


def test_every_shipped_map_says_what_it_is_for() -> None:
    maps = shipped_maps()
    assert maps
    for each in maps:
        assert each.about
        assert each.specs
        assert all((SPECS / spec).is_file() for spec in each.specs)
