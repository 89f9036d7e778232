"""Limits of the Neural Engine by family, and which family a device has."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mctc.diagnostics.errors import UsageError
from mctc.diagnostics.near import did_you_mean


@dataclass(frozen=True)
class Limits:
    """Largest extents of one compiler family. `extent` holds for every axis that a pass can split."""

    family: str
    extent: int


OLD, NEW = 16384, 65536
FAMILIES = {
    limits.family: limits
    for limits in (Limits("H13", OLD), Limits("H14", OLD), Limits("H15", OLD), Limits("H16", NEW), Limits("H17", NEW))
}
"""H13, H14 and H16 were measured by others, H15 and H17 read from Apple's tables (ANE-SH-002, ANE-SH-003)."""

OLDEST = "H13"
DEVICES = {
    "m1": "H13", "m2": "H14", "m3": "H15", "m4": "H16", "m5": "H17",
    "a14": "H13", "a15": "H14", "a16": "H15", "a17": "H16", "a18": "H17", "a19": "H17",
}  # fmt: skip
"""Chips by family. Those of phones are inferred from what Apple says of A17 Pro and M4; A19 is counted as H17."""


def limits_of(device: str | None) -> Limits:
    """The limits of a family (H16), or of a chip with or without its suffix (M4, 'M4 Max', 'A17 Pro').

    None means every supported device, so the oldest. Raises UsageError for an unknown name.
    """
    if device is None:
        return FAMILIES[OLDEST]
    word = device.strip().lower()
    if word.upper() in FAMILIES:
        return FAMILIES[word.upper()]
    chip = re.match(r"(?:apple )?([am]\d+)(?:$| |-)", word)
    if chip is None or chip.group(1) not in DEVICES:
        known = [name.upper() for name in DEVICES]
        hint = did_you_mean(device.upper(), [*known, *FAMILIES]) or f"known are {', '.join([*known, *FAMILIES])}"
        raise UsageError(f"there is no device `{device}`", hint=hint)
    return FAMILIES[DEVICES[chip.group(1)]]
