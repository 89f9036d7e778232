"""Dataclasses without text that is compiled where the class stands.

The standard library writes every method of a dataclass as text and compiles it at once, six for a frozen one: measured
at 0.6 ms a class, a tenth of the CPU time of a build of mct_small and a sixth of a check. `dataclass` here means the
same as that of `dataclasses`, whose functions take its classes as their own; `__init__` is written at the first
instance, the other methods are closures over the names of the fields.
"""

from __future__ import annotations

import dataclasses
import sys
from abc import update_abstractmethods
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from operator import attrgetter
from reprlib import recursive_repr
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

OURS = {"eq", "frozen", "kw_only"}
"""What may be asked of a class here; for others (slots, order) the standard library's own is called."""

SPECIAL = ("ClassVar", "InitVar", "KW_ONLY")
"""What an annotation may mean besides a field's type; a text that begins with `ClassVar[` is that."""

KIND = getattr(dataclasses, "_FIELD", None) if sys.version_info < (3, 14) else None
"""How the library marks a field as one; None where it collects fields in a way that is not known here."""

REPLACE = getattr(dataclasses, "_replace", None)
"""What Python 3.13 calls for `copy.replace`."""

FEW = 4
"""Instances up to which a class has no `__init__` of its own."""

Fields = tuple["dataclasses.Field[Any]", ...]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: type | None = None, /, **asked: bool) -> Any:
        """`dataclasses.dataclass`, which says what may be asked."""
        if asked.keys() - OURS:
            return dataclasses.dataclass(cls, **asked)

        def decorated(cls: type) -> type:
            return _decorated(cls, **asked)

        return decorated if cls is None else decorated(cls)


def _decorated(cls: type, eq: bool = True, frozen: bool = False, kw_only: bool = False) -> type:
    if cls.__doc__ is None:
        cls.__doc__ = cls.__name__  # else it would be the signature, found out by `inspect`
    if not _collected(cls, kw_only):
        with _thawed(cls):
            dataclasses.dataclass(cls, init=False, repr=False, eq=False, kw_only=kw_only)
    asked = vars(cls)["__dataclass_params__"]
    asked.init, asked.repr, asked.eq, asked.frozen = True, True, eq, frozen
    fields = dataclasses.fields(cls)
    _check(cls, fields)
    methods = {"__init__": _first(cls, fields, frozen), "__repr__": _repr(fields)}
    if eq:
        methods |= _comparison(cls, fields, frozen)
    if frozen:
        methods |= _refusals(cls, fields)
    for name, method in methods.items():
        if name not in vars(cls):
            setattr(cls, name, method)
    return cls


@cache
def _asked_of_nothing() -> Any:
    """What the library says was asked of a class where nothing was."""
    plain = type("_", (), {"__doc__": "Without one, the library would have `inspect` tell the signature."})
    return vars(dataclasses.dataclass(init=False, repr=False, eq=False)(plain))["__dataclass_params__"]


def _params(kw_only: bool) -> Any:
    usual = _asked_of_nothing()
    asked = object.__new__(type(usual))
    for name in type(usual).__slots__:
        setattr(asked, name, kw_only if name == "kw_only" else getattr(usual, name))
    return asked


def _collected(cls: Any, kw_only: bool) -> bool:
    """Collects the fields of a class as the library does, at a third of the time: it looks at every annotation with
    three regular expressions. False, and nothing changed, where it may read one in another way, or finds a fault."""
    members = vars(cls)
    own: dict[str, Any] = members.get("__annotations__", {})
    held = [name for name, value in members.items() if isinstance(value, dataclasses.Field)]
    given: dict[str, Any] = {}
    for name, told in own.items():
        if not isinstance(told, str):
            return False
        if told.startswith("ClassVar["):
            continue
        given[name] = value = getattr(cls, name, dataclasses.MISSING)
        default = value.default if isinstance(value, dataclasses.Field) else value
        if type(default).__hash__ is None or any(word in told for word in SPECIAL):
            return False
    if KIND is None or not given.keys() >= {*held}:
        return False
    fields: dict[str, Any] = {}
    for base in cls.__mro__[-1:0:-1]:
        fields.update(getattr(base, "__dataclass_fields__", {}))
    for name, value in given.items():
        each: Any = value if isinstance(value, dataclasses.Field) else dataclasses.field(default=value)
        each.name, each.type, each._field_type = name, own[name], KIND
        each.kw_only = kw_only if each.kw_only is dataclasses.MISSING else each.kw_only
        fields[name] = each
    for name in held:
        if fields[name].default is dataclasses.MISSING:
            delattr(cls, name)
        else:
            setattr(cls, name, fields[name].default)
    cls.__dataclass_fields__, cls.__dataclass_params__ = fields, _params(kw_only)
    further = {"__match_args__": tuple(name for name, each in fields.items() if each.init and not each.kw_only)}
    further |= {"__replace__": REPLACE} if REPLACE is not None else {}
    for name, member in further.items():
        if name not in vars(cls):
            setattr(cls, name, member)
    update_abstractmethods(cls)
    return True


@contextmanager
def _thawed(cls: type) -> Iterator[None]:
    """Bases that are not frozen, for as long as fields are collected: the library would compile what refuses a change
    for a frozen class, and lets none inherit from one of the other kind."""
    params = [vars(base).get("__dataclass_params__") for base in cls.__mro__[1:]]
    frozen = [each for each in params if each is not None and each.frozen]
    for each in frozen:
        each.frozen = False
    try:
        yield
    finally:
        for each in frozen:
            each.frozen = True


def _check(cls: type, fields: Fields) -> None:
    """Raises TypeError for fields that `__init__` here would leave out, or could not be written for."""
    names = {each.name for each in fields}
    for name, each in vars(cls)["__dataclass_fields__"].items():
        if name not in names and "InitVar" in str(each.type):
            raise TypeError(f"{cls.__qualname__}.{name} is an InitVar, which dataclasses.dataclass alone takes")
    if "self" in names:
        raise TypeError(f"{cls.__qualname__} has a field `self`, which dataclasses.dataclass alone takes")


def _first(cls: type, fields: Fields, frozen: bool) -> Callable[..., None]:
    """The `__init__` of a class with few instances: it sets their fields itself, and puts the real one, which takes a
    tenth of a millisecond to write, in its place once there are more."""

    made: Callable[..., None] | None = None
    left, then = FEW, hasattr(cls, "__post_init__")

    def first(self: Any, *arguments: Any, **named: Any) -> None:
        nonlocal made, left
        left -= 1
        if left >= 0 and (values := _matched(fields, arguments, named)) is not None:
            for name, value in values:
                object.__setattr__(self, name, value)
            if then:
                self.__post_init__()
            return
        if made is None:
            made = _plain(cls, fields, frozen) or _init(cls, fields, frozen)
        if vars(cls)["__init__"] is first:  # and not what someone put around it
            cls.__init__ = made  # type: ignore[misc]
        made(self, *arguments, **named)

    return first


def _matched(fields: Fields, arguments: Sequence[Any], named: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
    """The values of fields in their order; None for a call that isn't as it should be, which the real one refuses."""
    missing = dataclasses.MISSING
    taken = [each.name for each in fields if each.init and not each.kw_only]
    given = {**dict(zip(taken, arguments)), **named}
    if len(given) != len(arguments) + len(named) or len(arguments) > len(taken):
        return None
    values = []
    for each in fields:
        if each.init and each.name in given:
            values.append((each.name, given.pop(each.name)))
        elif each.default_factory is not missing:
            values.append((each.name, each.default_factory()))
        elif each.init and each.default is not missing:
            values.append((each.name, each.default))
        elif each.init:
            return None
    return None if given else values


def _plain(cls: type, fields: Fields, frozen: bool) -> Callable[..., None] | None:
    """The `__init__` of a class whose fields are all given in their order, none made by a factory: that of any class of
    as many, with other names. None for another class."""
    missing = dataclasses.MISSING
    if any(not each.init or each.kw_only or each.default_factory is not missing for each in fields):
        return None
    template = _code(len(fields), frozen, hasattr(cls, "__post_init__"))
    names = {f"_{index}": each.name for index, each in enumerate(fields)}
    code = template.replace(
        co_varnames=tuple(names.get(name, name) for name in template.co_varnames),
        co_names=tuple(names.get(name, name) for name in template.co_names),
        co_consts=tuple(names.get(value, value) if isinstance(value, str) else value for value in template.co_consts),
    )
    defaults = tuple(each.default for each in fields if each.default is not missing)
    if any(each.default is missing for each in fields[len(fields) - len(defaults) :]):
        return None  # a fault, which Python tells
    made = FunctionType(code, {"__put": object.__setattr__}, "__init__", defaults or None)
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


@cache
def _code(count: int, frozen: bool, then: bool) -> CodeType:
    """An `__init__` that sets fields called _0, _1 ..."""
    names = [f"_{index}" for index in range(count)]
    body = [_set(name, name, frozen) for name in names] + ["self.__post_init__()"] * then
    found: dict[str, Any] = {}
    exec(f"def __init__({', '.join(['self', *names])}):\n " + "\n ".join(body or ["pass"]), found)
    code: CodeType = found["__init__"].__code__
    return code


def _init(cls: type, fields: Fields, frozen: bool) -> Callable[..., None]:
    missing = dataclasses.MISSING
    # A field's own name never begins with two underscores: Python mangles such names of a class.
    names: dict[str, Any] = {"__put": object.__setattr__, "__made": missing}
    positional, named, body = ["self"], list[str](), list[str]()
    for index, each in enumerate(fields):
        if not each.init:
            if each.default_factory is not missing:
                names[f"__make{index}"] = each.default_factory
                body.append(_set(each.name, f"__make{index}()", frozen))
            continue
        value, default = each.name, ""
        if each.default_factory is not missing:
            names[f"__make{index}"], default = each.default_factory, "=__made"
            value = f"__make{index}() if {value} is __made else {value}"
        elif each.default is not missing:
            names[f"__default{index}"], default = each.default, f"=__default{index}"
        (named if each.kw_only else positional).append(each.name + default)
        body.append(_set(each.name, value, frozen))
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    head = ", ".join([*positional, *(["*", *named] if named else [])])
    exec(f"def __init__({head}):\n " + "\n ".join(body or ["pass"]), names)
    made: Callable[..., None] = names["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _set(name: str, value: str, frozen: bool) -> str:
    return f"__put(self, {name!r}, {value})" if frozen else f"self.{name} = {value}"


def _repr(fields: Fields) -> Callable[[Any], str]:
    told: Callable[[Any], str] | None = None

    def first(self: Any) -> str:
        nonlocal told
        if told is None:  # most classes are shown to nobody
            shown = [each.name for each in fields if each.repr]
            told = recursive_repr()(lambda of: _told(of, shown))
        return told(self)

    return first


def _told(of: Any, names: Sequence[str]) -> str:
    return f"{type(of).__qualname__}({', '.join(f'{name}={getattr(of, name)!r}' for name in names)})"


def _comparison(cls: type, fields: Fields, frozen: bool) -> dict[str, Any]:
    compared = [each.name for each in fields if each.compare]
    values = identity = _values(compared)
    if any(each.hash is not None for each in fields):
        identity = _values([each.name for each in fields if (each.compare if each.hash is None else each.hash)])

    def equal(self: Any, other: Any) -> bool:
        if other is self:
            return True
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: Any) -> int:
        return hash(identity(self))

    if vars(cls).get("__hash__", hash) is None and "__eq__" in vars(cls):
        del cls.__hash__  # Python's own None, for a class that defines __eq__
    return {"__eq__": equal, "__hash__": hashed if frozen else None}


def _values(names: list[str]) -> Callable[[Any], Any]:
    """The values of an object's fields: a tuple, or the one value of a single field."""
    return attrgetter(*names) if names else lambda _: ()


def _refusals(cls: type, fields: Fields) -> dict[str, Any]:
    names = {each.name for each in fields}

    def put(self: Any, name: str, value: Any) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)  # type: ignore[arg-type]

    def remove(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)  # type: ignore[arg-type]

    return {"__setattr__": put, "__delattr__": remove}
