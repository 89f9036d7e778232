"""Dataclasses of mctc.records are those of the standard library in everything but when their methods are made."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import InitVar, field  # noqa: F401 — InitVar is looked up here by its name in a text
from typing import Any

import pytest

from mctc import records

Decorator = Callable[..., Any]
BOTH = [dataclasses.dataclass, records.dataclass]


def classes(decorator: Decorator) -> dict[str, type]:
    """The same classes by either decorator."""

    @decorator(frozen=True)
    class Point:
        x: int
        y: float = 1.5
        tags: list[str] = field(default_factory=list, compare=False, repr=False)

    @decorator(frozen=True)
    class Named(Point):
        """A point with a name."""

        name: str = "here"
        place: str = field(default="", kw_only=True)

    @decorator
    class Open:
        value: int
        twice: int = field(init=False)
        seen: list[int] = field(default_factory=list, init=False)

        def __post_init__(self) -> None:
            self.twice = 2 * self.value

    @decorator(frozen=True, kw_only=True)
    class Keys:
        a: int
        b: int = 2

    @decorator(eq=False)
    class Alone:
        a: int = 0

    @decorator(frozen=True)
    class Own:
        a: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

    @decorator(frozen=True)
    class Nothing:
        pass

    return {each.__name__: each for each in (Point, Named, Open, Keys, Alone, Own, Nothing)}


STD, OURS = map(classes, BOTH)

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Point", (1,), {}),
    ("Point", (1, 2.5), {}),
    ("Point", (1,), {"tags": ["a"]}),
    ("Point", (), {}),
    ("Point", (1, 2, [], 3), {}),
    ("Point", (1,), {"z": 3}),
    ("Named", (1, 2.0, [], "there"), {"place": "p"}),
    ("Named", (1, 2.0, [], "there", "p"), {}),
    ("Open", (4,), {}),
    ("Open", (4, 8), {}),
    ("Keys", (), {"a": 1}),
    ("Keys", (1,), {}),
    ("Alone", (), {}),
    ("Own", (3,), {}),
    ("Nothing", (), {}),
]


def made(classes: dict[str, type], name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> object:
    """What stands for an instance: its repr, fields, hash and equality; or the class of the error."""
    try:
        one, other = (classes[name](*arguments, **named) for _ in range(2))
    except TypeError:
        return TypeError
    text = repr(one).rpartition(".")[2] if "0x" in repr(one) else repr(one)
    hashed = None if one.__hash__ is None else hash(one) == hash(other)
    values = {each.name: getattr(one, each.name) for each in dataclasses.fields(one)}
    return text.split(" at 0x")[0], values, one == other, one != object(), hashed, dataclasses.is_dataclass(one)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]}{call[1]}{sorted(call[2])}")
def test_instances_are_those_of_the_standard_library(call: tuple[str, tuple[Any, ...], dict[str, Any]]) -> None:
    assert made(OURS, *call) == made(STD, *call)


def test_values_of_fields_tell_instances_apart() -> None:
    point = OURS["Point"]
    assert point(1) != point(2)
    assert hash(point(1)) != hash(point(2))
    assert point(1, tags=["a"]) == point(1), "what isn't compared"
    assert point(1) != OURS["Named"](1), "another class"
    assert len({point(1), point(1), point(2)}) == 2


@pytest.mark.parametrize("classes", [STD, OURS], ids=["std", "ours"])
def test_frozen_instances_refuse_changes(classes: dict[str, type]) -> None:
    for one in (classes["Point"](1), classes["Named"](1)):
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
            one.x = 2
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
            del one.x
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.other = 2
    changed = classes["Open"](1)
    changed.value = 3
    assert changed.value == 3


def test_functions_of_the_library_take_them() -> None:
    one = OURS["Named"](1, name="there")
    assert dataclasses.replace(one, x=2) == OURS["Named"](2, name="there")
    assert dataclasses.asdict(one) == dataclasses.asdict(STD["Named"](1, name="there"))
    assert [each.name for each in dataclasses.fields(OURS["Keys"])] == ["a", "b"]
    assert copy.copy(one) == one
    assert copy.deepcopy(one) == one
    match one:
        case OURS_POINT(x, y):
            assert (x, y) == (1, 1.5)
        case _:
            pytest.fail("positional patterns don't match")


OURS_POINT: Any = OURS["Point"]


@pytest.mark.parametrize("base", BOTH, ids=["std base", "our base"])
@pytest.mark.parametrize("derived", BOTH, ids=["std", "ours"])
def test_either_kind_inherits_from_the_other(base: Decorator, derived: Decorator) -> None:
    first = base(frozen=True)(type("First", (), {"__annotations__": {"a": int}}))
    second = derived(frozen=True)(type("Second", (first,), {"__annotations__": {"b": int}, "b": 2}))
    assert repr(second(1)) == "Second(a=1, b=2)"
    assert second(1) == second(1, 2)
    assert first.__dataclass_params__.frozen, "as it was before a class inherited from it"
    for one in (first(1), second(1)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.a = 3


def test_a_class_calls_the_init_of_its_base() -> None:
    class Longer(OURS["Point"]):  # type: ignore[misc]
        def __init__(self, x: int) -> None:
            super().__init__(2 * x)

    assert [Longer(1).x, Longer(2).x, OURS["Point"](5).x] == [2, 4, 5]


def test_an_init_that_is_wrapped_before_the_first_instance_stays_wrapped() -> None:
    @records.dataclass(frozen=True)
    class Counted:
        a: int

    plain, calls = Counted.__init__, []

    def counted(self: Counted, *arguments: Any) -> None:
        calls.append(arguments)
        plain(self, *arguments)

    Counted.__init__ = counted  # type: ignore[method-assign]
    assert [Counted(1).a, Counted(2).a] == [1, 2]
    assert calls == [(1,), (2,)]


def test_fields_have_any_name() -> None:
    @records.dataclass(frozen=True)
    class Names:
        _put: int
        _made: list[int] = field(default_factory=list)
        _make1: int = 2
        _default2: int = 3

    assert repr(Names(1)).endswith("Names(_put=1, _made=[], _make1=2, _default2=3)")


@pytest.mark.parametrize("decorator", BOTH, ids=["std", "ours"])
def test_a_class_that_refuses_to_be_hashed_does(decorator: Decorator) -> None:
    unhashable = decorator(frozen=True)(type("Unhashable", (), {"__annotations__": {"a": int}, "__hash__": None}))
    with pytest.raises(TypeError, match="unhashable"):
        hash(unhashable(1))


def test_what_was_asked_of_a_class_is_told() -> None:
    for asked in ({}, {"frozen": True}, {"eq": False}, {"kw_only": True}):
        std, ours = (each(**asked)(type("Asked", (), {})) for each in BOTH)
        assert repr(ours.__dataclass_params__) == repr(std.__dataclass_params__)


def test_a_class_that_can_not_be_made_leaves_its_bases_frozen() -> None:
    first = records.dataclass(frozen=True)(type("First", (), {"__annotations__": {"a": int}}))
    with pytest.raises(ValueError, match="mutable default"):
        records.dataclass(frozen=True)(type("Second", (first,), {"__annotations__": {"b": list}, "b": []}))
    assert first.__dataclass_params__.frozen  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "type_", "told"),
    [
        ("a", dataclasses.InitVar[int], "a is an InitVar"),
        ("a", "InitVar[int]", "a is an InitVar"),
        ("self", int, "`self`"),
    ],
)
def test_a_field_that_it_does_not_take_is_told_where_the_class_stands(name: str, type_: Any, told: str) -> None:
    body = {"__annotations__": {name: type_}, "__module__": __name__, "InitVar": dataclasses.InitVar}
    with pytest.raises(TypeError, match=told):
        records.dataclass(type("Taking", (), body))


def test_abstract_classes_stay_abstract() -> None:
    @records.dataclass(frozen=True)
    class Shape(ABC):
        sides: int

        @abstractmethod
        def area(self) -> float: ...

    with pytest.raises(TypeError, match="abstract"):
        Shape(3)  # type: ignore[abstract]


def test_slots_and_order_are_the_librarys() -> None:
    @records.dataclass(frozen=True, slots=True)
    class Small:
        a: int

    @records.dataclass(frozen=True, order=True)
    class Ranked:
        a: int

    assert not hasattr(Small(1), "__dict__")
    assert Ranked(1) < Ranked(2)


@records.dataclass(frozen=True)
class Kept:
    a: int


def test_what_was_pickled_is_equal_before_any_instance_is_made() -> None:
    text = pickle.dumps(Kept(1)).replace(b"Kept", b"Late")
    assert pickle.loads(text) == pickle.loads(text)
    assert hash(pickle.loads(text)) == hash(pickle.loads(text))


@records.dataclass(frozen=True)
class Late:
    a: int
