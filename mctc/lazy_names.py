"""Names that a package offers of its modules, each imported when it is first asked for.

A package that imports its modules makes everybody who wants one pay for all. `__getattr__ = lazy(__name__, ...)` in its
`__init__` looks the name up instead; it stands in the `else` of `if TYPE_CHECKING:`, where the same names are imported
for type checkers, which so tell a name that the package does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def lazy(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of `package`, given which of its modules each name is in: `{"parse": "parser"}`. The function
    raises AttributeError for other names."""

    def looked_up(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return looked_up
