"""What a target of a plugin must look like: faults in words, found as it is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mctc.driver.target import Target
from mctc.plugin_form import derives, is_list_of_text, names, shown


def faults(cls: Any) -> Iterator[str]:
    """What is wrong with an object that is brought as a target, the first fault first."""
    if not derives(cls, Target):
        yield "must be a class derived from mctc.driver.target.Target"
        return
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        yield f"has no {' and no '.join(f'`{name}`' for name in missing)}"
    for name in ("extra_targets", "computes"):
        yield from names(cls, name, "names")
    if not isinstance(cls.forms, Mapping) or not all(is_list_of_text(value) for value in cls.forms.values()):
        yield f"`forms` must give a tuple of strings for each option, not {shown(cls.forms)}"
