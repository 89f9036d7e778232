"""Mutations of a protobuf message that keep it one: fields set, cleared, doubled, moved, copied from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    31,
    64,
    255,
    1 << 16,
    1 << 20,
    (1 << 31) - 1,
    1 << 32,
    1 << 40,
    (1 << 63) - 1,
    (1 << 64) - 1,
)
FLOATS = (0.0, -0.0, 1.0, 0.5, -1.0, 1e-40, 3e38, float("inf"), float("nan"))
MOST = 4000  # messages of one tree that may be chosen from


def mutate_message(message: Any, random: Random, words: Sequence[str], donor: Any = None) -> None:
    """Changes one to five fields somewhere in a message, in place.

    `words` are strings that mean something there; what is copied may come from `donor`, another message.
    """
    given = [] if donor is None else list(_tree(donor))[:MOST]
    for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
        own = list(_tree(message))[:MOST]
        chosen, tree = random.choice(own), own + given
        fields = list(chosen.DESCRIPTOR.fields)
        present = [field for field, _ in chosen.ListFields()]
        if fields:
            _change(
                chosen, random.choice(present if present and random.random() < 0.8 else fields), random, words, tree
            )


def _tree(message: Any) -> Iterator[Any]:
    """A message and all that are in it."""
    stack = [message]
    while stack:
        here = stack.pop()
        yield here
        for field, value in here.ListFields():
            if field.message_type is None:
                continue
            if _is_map(field):
                if field.message_type.fields_by_name["value"].message_type is not None:
                    stack += [value[key] for key in sorted(value)]
            else:
                stack += list(value) if _is_repeated(field) else [value]


def _is_map(field: Any) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _is_repeated(field: Any) -> bool:
    # protobuf 6 has a property in place of the label, which later versions drop
    return bool(field.is_repeated) if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def _change(message: Any, field: Any, random: Random, words: Sequence[str], tree: Sequence[Any]) -> None:
    if random.random() < 0.08:
        message.ClearField(field.name)
    elif _is_map(field):
        _change_map(getattr(message, field.name), field, random, words)
    elif _is_repeated(field):
        _change_repeated(getattr(message, field.name), field, random, words, tree)
    elif field.message_type is not None:
        _fill(getattr(message, field.name), random, tree)
    else:
        setattr(message, field.name, _scalar(field, getattr(message, field.name), random, words))


def _change_map(entries: Any, field: Any, random: Random, words: Sequence[str]) -> None:
    """An entry goes, gets another name, or is given a second one."""
    keys, value = sorted(entries), field.message_type.fields_by_name["value"]
    if field.message_type.fields_by_name["key"].type != field.TYPE_STRING:
        return
    new = random.choice([*words, *map(str, keys)])
    if not keys:
        if value.message_type is not None:
            entries[new].SetInParent()
        return
    old = random.choice(keys)
    if value.message_type is None:
        entries[new] = _scalar(value, entries[old], random, words)
    elif new != old:
        entries[new].CopyFrom(entries[old])
    if random.random() < 0.6:
        del entries[old]


def _change_repeated(items: Any, field: Any, random: Random, words: Sequence[str], tree: Sequence[Any]) -> None:
    """An item goes, is doubled, changes places, or is changed."""
    action, at = random.randrange(5), random.randrange(len(items)) if items else 0
    if not items:
        if field.message_type is not None:
            _fill(items.add(), random, tree)
        else:
            items.append(_scalar(field, field.default_value or _empty(field), random, words))
    elif action == 0:
        del items[at]
    elif action == 1:
        items.extend([items[at]] * random.choice((1, 1, 2, 30)))
    elif action == 2 and field.message_type is not None:
        _fill(items[at], random, tree)
    elif action <= 3 and field.message_type is None:
        items[at] = _scalar(field, items[at], random, words)
    else:
        order = [_copied(item) for item in items]
        random.shuffle(order)
        del items[:]
        items.extend(order)


def _copied(item: Any) -> Any:
    if not hasattr(item, "CopyFrom"):
        return item
    copy = type(item)()
    copy.CopyFrom(item)
    return copy


def _fill(message: Any, random: Random, tree: Sequence[Any]) -> None:
    """Makes a message equal to another of its type somewhere in the tree, or empties it."""
    others = [each for each in tree if each.DESCRIPTOR is message.DESCRIPTOR and each is not message]
    if others and random.random() < 0.9:
        message.CopyFrom(_copied(random.choice(others)))
    else:
        message.Clear()
        message.SetInParent()


def _empty(field: Any) -> Any:
    return {"string": "", "bytes": b""}.get(_kind(field), 0)


def _kind(field: Any) -> str:
    """One word for the types that are treated alike."""
    if field.type in (field.TYPE_STRING, field.TYPE_BYTES, field.TYPE_BOOL, field.TYPE_ENUM):
        return {field.TYPE_STRING: "string", field.TYPE_BYTES: "bytes", field.TYPE_BOOL: "bool"}.get(field.type, "enum")
    return "float" if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE) else "integer"


def _scalar(field: Any, old: Any, random: Random, words: Sequence[str]) -> Any:
    kind = _kind(field)
    if kind == "string":
        return random.choice((random.choice(words), old + random.choice(words), old[: len(old) // 2], ""))
    if kind == "bytes":
        flipped = bytearray(old or b"\0")
        flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
        return random.choice((bytes(flipped), old[: len(old) // 2], old + old, old + b"\0"))
    if kind == "bool":
        return not old
    if kind == "enum":
        return random.choice([*(value.number for value in field.enum_type.values), 999])
    if kind == "float":
        return random.choice((*FLOATS, old * 2, -old))
    return _fitting(random.choice((*NUMBERS, old + 1, old - 1, old * 2, -old)), field)


def _fitting(number: int, field: Any) -> int:
    """The number as the field's type holds it: its low bits, with a sign or without."""
    bits = 32 if field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32) else 64
    number &= (1 << bits) - 1
    signed = field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64)
    return number - (1 << bits) if signed and number >> (bits - 1) else number
