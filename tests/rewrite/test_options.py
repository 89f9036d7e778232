"""Options of a pass are its fields: read from text, checked, told in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest

from mctc.ir.program import Program
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.options import PassOptionError, given, option, options_of, parsed
from mctc.rewrite.plugin_form import faults


@dataclass(frozen=True)
class Wide(Pass):
    """A pass with an option of every kind."""

    name = "wide"
    promise = Exact()
    after: ClassVar[tuple[str, ...]] = ("linear-to-conv",)

    form: Literal["unrolled", "decay"] | None = option(None, "the form")
    limit: int = option(64, "entries", least=1)
    share: float = 0.5
    deep: bool = False
    words: str | None = None

    def run(self, program: Program, context: Context) -> Program:
        return program


def test_every_field_is_an_option_with_its_type_default_and_words() -> None:
    assert [(each.name, each.takes, each.default, each.doc) for each in options_of(Wide).values()] == [
        ("form", "unrolled, decay or none", None, "the form"),
        ("limit", "a whole number of at least 1", 64, "entries"),
        ("share", "a number", 0.5, ""),
        ("deep", "true or false", False, ""),
        ("words", "text or none", None, ""),
    ]


def test_texts_become_what_the_fields_hold() -> None:
    texts = {"form": "decay", "limit": "8", "share": "1", "deep": "true", "words": "a b"}
    values = parsed(Wide, texts)
    assert values == {"form": "decay", "limit": 8, "share": 1.0, "deep": True, "words": "a b"}
    assert isinstance(values["share"], float)
    assert Wide(**values) == Wide("decay", 8, 1.0, True, "a b")  # type: ignore[arg-type]
    assert parsed(Wide, {"form": "none", "words": "none"}) == {"form": None, "words": None}


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        ("form", "decoy", "option `form` of pass `wide` can't be decoy", "did you mean `decay`?"),
        ("form", "8", "can't be 8", "it is unrolled, decay or none"),
        ("limit", "0", "can't be 0", "it is a whole number of at least 1"),
        ("limit", "1.5", "can't be 1.5", "it is a whole number of at least 1"),
        ("limit", "true", "can't be true", "it is a whole number of at least 1"),
        ("limit", "none", "can't be none", "it is a whole number of at least 1"),
        ("share", "half", "can't be half", "it is a number"),
        ("deep", "1", "can't be 1", "it is true or false"),
        ("limits", "1", "pass `wide` has no option `limits`", "did you mean `limit`?"),
        ("zzz", "1", "pass `wide` has no option `zzz`", "it has form, limit, share, deep, words"),
    ],
)
def test_what_an_option_does_not_take_is_refused_with_what_it_does(
    name: str, text: str, message: str, hint: str
) -> None:
    with pytest.raises(PassOptionError, match=message) as error:
        parsed(Wide, {name: text})
    assert error.value.hint == hint


@pytest.mark.parametrize("values", [{"limit": 1.0}, {"deep": 1}, {"form": "prefix"}, {"words": 3}, {"limit": True}])
def test_values_of_another_kind_are_refused_too(values: dict[str, Any]) -> None:
    with pytest.raises(PassOptionError):
        given(Wide, values)


def test_a_pass_whose_option_can_not_be_one_is_told_as_it_is_loaded() -> None:
    class Loose(Wide):
        name = "loose"
        more: int = 1

    @dataclass(frozen=True)
    class Listed(Wide):
        name = "listed"
        more: list[int] | None = None

    assert list(faults(Wide)) == []
    assert "lacks `@dataclass(frozen=True)`" in next(faults(Loose))
    assert "`more` is of type list[int]" in next(faults(Listed))
