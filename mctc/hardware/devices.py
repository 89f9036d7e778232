"""Chips by family."""

from __future__ import annotations

import re

from mctc.diagnostics.errors import UsageError
from mctc.diagnostics.near import did_you_mean
from mctc.hardware.families import FAMILIES, OLDEST, UNPUBLISHED, Family
from mctc.records import dataclass

MAC, PHONE = "mac", "iphone"

CHIPS = {
    "m1": "H13", "m2": "H14", "m3": "H15", "m4": "H16", "m5": "H17", "m6": "H18G",
    "a14": "H13", "a15": "H14", "a16": "H15", "a17": "H16", "a18": "H17", "a19": "H18",
}  # fmt: skip
"""M(n) = H(n+12) is ane-guide's. Those of phones are inferred: Apple names A17 Pro and M4 together for int8, and
coreai-model-zoo compiles for an A19 Pro as h18p."""


@dataclass(frozen=True)
class Device:
    """A chip, or a family alone. `kind` is "mac", "iphone", or None where only a family was given."""

    name: str
    family: Family
    kind: str | None

    @property
    def doubt(self) -> float:
        """The factor by which the segmenter's charges and estimates may be off: the family's, as far as a Mac or the
        family itself is meant. That a phone has a Mac's is nowhere published."""
        return UNPUBLISHED if self.kind == PHONE else self.family.doubt


def find_device(name: str | None) -> Device:
    """The device of a family (H16), or of a chip with or without its suffix (M4, 'M4 Max', 'A17 Pro').

    None means every supported device, so the oldest family. Raises UsageError for an unknown name.
    """
    if name is None:
        return Device(OLDEST, FAMILIES[OLDEST], None)
    word = name.strip().lower()
    if word.upper() in FAMILIES:
        return Device(word.upper(), FAMILIES[word.upper()], None)
    chip = re.match(r"(?:apple )?([am]\d+)(?:$| |-)", word)
    if chip is None or chip.group(1) not in CHIPS:
        known = [*(each.upper() for each in CHIPS), *FAMILIES]
        hint = did_you_mean(name.upper(), known) or f"known are {', '.join(known)}"
        raise UsageError(f"there is no device `{name}`", hint=hint)
    code = chip.group(1)
    return Device(code.upper(), FAMILIES[CHIPS[code]], MAC if code.startswith("m") else PHONE)


def chips_of(family: str) -> str:
    """'M1, A14': the chips of a family."""
    return ", ".join(chip.upper() for chip, of in CHIPS.items() if of == family)
