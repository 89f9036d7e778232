"""What the forms of plugins have in common: the `plugin_form` of each room says what one of its kind must look like."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any


def derives(cls: Any, base: type) -> bool:
    return inspect.isclass(cls) and issubclass(cls, base)


def names(cls: Any, attribute: str, what: str) -> Iterator[str]:
    value = getattr(cls, attribute)
    if not is_list_of_text(value):
        more = f"; write ({value!r},)" if isinstance(value, str) else ""
        yield f"`{attribute}` must be a tuple of {what}, not {shown(value)}{more}"


def is_list_of_text(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value)


def plain(names: Any) -> set[str]:
    return {name.rstrip("?") for name in names} if is_list_of_text(names) else set()


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
