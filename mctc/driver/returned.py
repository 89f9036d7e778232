"""What the methods of a plugin's target return, held to what mctc.driver.target.Target says."""

from __future__ import annotations

from typing import TypeVar

from mctc.driver.target import Agreement, Target, Written
from mctc.plugins import PluginError, registry

T = TypeVar("T")


def returned_by(target: Target, method: str, value: T) -> T:
    """The value, if it is what that method of a target has to return. Raises PluginError."""
    each = {"check": Agreement, "report": str, "summary": str}.get(method)
    if each is None:
        sound = isinstance(value, Written) and not isinstance(value.artifacts, str)
    else:
        sound = isinstance(value, (list, tuple)) and all(isinstance(item, each) for item in value)
    if not sound:
        origin = registry().origin("targets", target.name) or type(target).__module__
        raise PluginError(
            f"target `{target.name}` of {origin}: `{method}` returns {value!r:.60}",
            hint="mctc.driver.target.Target says what belongs there",
        )
    return value
