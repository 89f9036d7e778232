"""The sections of a spec that hold settings: `train`, `stream`, `utterance`, `audio`, `tokens`, `passes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from fractions import Fraction

from mctc.diagnostics.errors import MctcError
from mctc.ir.attribute_value import Attributes
from mctc.ir.location import Location
from mctc.records import dataclass

Call = tuple[str, Attributes]
"""A call such as rnnt(blank = 0): its name and arguments."""


@dataclass(frozen=True)
class Section:
    """Settings by name. The language checks them; a text of the IR may hold anything, so each is read by its kind.

    places: where the spec says each; no part of the program.
    """

    settings: Attributes = field(default_factory=dict)
    places: Mapping[str, Location] = field(default_factory=dict, compare=False)

    def count(self, name: str) -> int | None:
        """A whole number, None where it is not set. Raises MctcError for anything else, as the other readers do."""
        value = self.settings.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise _misfit(name, value, "a whole number")

    def flag(self, name: str) -> bool:
        """Whether it is set to true."""
        return self.settings.get(name) is True

    def quantity(self, name: str) -> Fraction | int | None:
        """Seconds or Hz as a fraction (Hz as an int where whole), or frames as an int; None where it is not set."""
        value = self.settings.get(name)
        return value if isinstance(value, Fraction) else self.count(name)

    def quantities(self, name: str) -> tuple[Fraction | int, ...]:
        """Several of them; none where it is not set."""
        value = self.settings.get(name, ())
        if not isinstance(value, tuple):
            raise _misfit(name, value, "a list of quantities")
        return tuple(each for each in value if isinstance(each, (Fraction, int)))

    def text(self, name: str) -> str:
        value = self.settings.get(name)
        if not isinstance(value, str):
            raise _misfit(name, value, "a string")
        return value

    def texts(self, name: str) -> Sequence[str]:
        """Several strings, or one of as many characters."""
        value = self.settings.get(name)
        if isinstance(value, tuple) and all(isinstance(each, str) for each in value):
            return value
        return self.text(name)

    def call(self, name: str) -> Call | None:
        """A call, None where it is not set."""
        value = self.settings.get(name)
        return None if value is None else _call(name, value)

    def calls(self, name: str) -> tuple[Call, ...]:
        """Several of them; none where it is not set."""
        value = self.settings.get(name, ())
        if not isinstance(value, tuple):
            raise _misfit(name, value, "a list of names with their settings")
        return tuple(_call(name, each) for each in value)


def _call(name: str, value: object) -> Call:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], Mapping):
        return value[0], value[1]
    raise _misfit(name, value, "a name with its settings")


def _misfit(name: str, value: object, wanted: str) -> MctcError:
    return MctcError(f"the setting `{name}` is {wanted}, not {value!r:.60}")
