"""Operating systems by the opset that they can read first (coremltools' `AvailableTarget`)."""

from __future__ import annotations

import re

from mctc.diagnostics.errors import UsageError
from mctc.records import dataclass

# Specification version, opset, and the releases that introduced them. Later releases read everything older.
GENERATIONS = (
    (6, "CoreML5", {"ios": 15, "macos": 12}),
    (7, "CoreML6", {"ios": 16, "macos": 13}),
    (8, "CoreML7", {"ios": 17, "macos": 14}),
    (9, "CoreML8", {"ios": 18, "macos": 15}),
    (10, "CoreML9", {"ios": 26, "macos": 26}),
)
PLATFORMS = {"ios": "iOS", "macos": "macOS"}
ALIASES = {"ipados": "ios", "iphoneos": "ios", "osx": "macos"}
FIRST = {"ios": (11, 0), "macos": (10, 13)}  # that read Core ML models
SKIPPED = {"ios": range(19, 26), "macos": range(16, 26)}  # numbers that no release has
NEWEST = 30  # a release number beyond this is a slip of the finger


@dataclass(frozen=True, order=True)
class System:
    """A release, such as iOS 18 or macOS 15."""

    platform: str
    major: int
    minor: int = 0

    def __str__(self) -> str:
        minor = f".{self.minor}" if self.minor else ""
        return f"{PLATFORMS[self.platform]} {self.major}{minor}"

    @property
    def generation(self) -> int:
        """Position in GENERATIONS of the newest opset that the system reads; -1 for one before ML programs."""
        reads = [place for place, (_, _, first) in enumerate(GENERATIONS) if self.major >= first[self.platform]]
        return max(reads, default=-1)


def find_system(name: str) -> System:
    """`ios18`, `macOS 15.2`, `iPadOS-26`. Raises UsageError."""
    match = re.fullmatch(r"([a-z]+)[ _-]?(\d{1,2})(?:\.(\d{1,2}))?", name.strip().lower())
    platform = ALIASES.get(match.group(1), match.group(1)) if match else ""
    if match is None or platform not in PLATFORMS:
        raise UsageError(f"there is no system `{name}`", hint="systems look like ios18, macos15 or ios17.4")
    major, minor = int(match.group(2)), int(match.group(3) or 0)
    if major > NEWEST or major in SKIPPED[platform]:
        raise UsageError(f"there is no system `{name}`", hint="macOS 15 and iOS 18 were followed by 26")
    if (major, minor) < FIRST[platform]:
        oldest = System(platform, *FIRST[platform])
        raise UsageError(f"`{name}` is from before Core ML", hint=f"the first release that has it is {oldest}")
    return System(platform, major, minor)


def generation_of_opset(opset: str) -> int | None:
    """Position in GENERATIONS of an opset's name; None for one that is not known."""
    return next((place for place, (_, name, _) in enumerate(GENERATIONS) if name == opset), None)


def oldest_systems(generation: int) -> tuple[System, ...]:
    """The first release of every platform that reads this generation."""
    first = GENERATIONS[generation][2]
    return tuple(System(platform, major) for platform, major in first.items())
