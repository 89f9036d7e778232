"""What a package is checked for: a chip and a system; and what a rule speaks of."""

from __future__ import annotations

from mctc.diagnostics.errors import UsageError
from mctc.hardware.devices import MAC, PHONE, Device, chips_of, find_device
from mctc.hardware.families import Family
from mctc.hardware.systems import (
    GENERATIONS,
    PLATFORMS,
    System,
    find_system,
    generation_of_opset,
    oldest_systems,
)
from mctc.records import dataclass

PLATFORM_OF = {MAC: "macos", PHONE: "ios"}


@dataclass(frozen=True)
class Target:
    """device: the chip or family. systems: the releases meant; one of each platform where neither chip nor system was
    stated. stated: what of "device" and "os" the user chose; the rest is the oldest that the opset permits."""

    device: Device
    systems: tuple[System, ...]
    stated: frozenset[str] = frozenset()

    @property
    def family(self) -> Family:
        return self.device.family

    @property
    def platforms(self) -> frozenset[str]:
        return frozenset(system.platform for system in self.systems)

    def system(self, platform: str) -> System | None:
        """The release of a platform, None where the target doesn't include it."""
        return next((system for system in self.systems if system.platform == platform), None)

    def __str__(self) -> str:
        chips = chips_of(self.family.name)
        known = self.device.name if self.device.kind else f"{self.family.name} ({chips})"
        family = f" ({self.family.name})" if self.device.kind else ""
        return f"{known}{family}, {' or '.join(map(str, self.systems))}"


@dataclass(frozen=True)
class Scope:
    """What a rule speaks of; empty means all. families: names of compiler families. platforms: "ios", "macos"."""

    families: frozenset[str] = frozenset()
    platforms: frozenset[str] = frozenset()

    def covers(self, target: Target) -> bool:
        return self.missing(target) is None

    def missing(self, target: Target) -> str | None:
        """What the target would have to be for the rule to apply; None when it applies."""
        if self.families and target.family.name not in self.families:
            return "chips " + ", ".join(chips_of(name) or name for name in sorted(self.families))
        if self.platforms and not self.platforms & target.platforms:
            return " or ".join(PLATFORMS[name] for name in sorted(self.platforms))
        return None

    def example(self) -> str | None:
        """A family that the scope covers."""
        return min(self.families) if self.families else None


def resolve(device: str | None, system: str | None, opset: str) -> Target:
    """The target of the given names; what is left out is the oldest that the package's opset permits.

    Raises UsageError for an unknown name and for a chip and a system that do not go together.
    """
    chip = find_device(device)
    stated = frozenset(name for name, given in (("device", device), ("os", system)) if given)
    oldest = oldest_systems(generation_of_opset(opset) or 0)
    if system is None:
        wanted = PLATFORM_OF.get(chip.kind or "")
        return Target(chip, tuple(each for each in oldest if wanted in (None, each.platform)), stated)
    release = find_system(system)
    if chip.kind == PHONE and release.platform == "macos":
        raise UsageError(
            f"{chip.name} is a phone's chip, {release} doesn't run on it", hint="name an iOS, such as ios18"
        )
    return Target(chip, (release,), stated)


def opset_needs(opset: str) -> str:
    """'iOS 18 or macOS 15': the first systems that read an opset."""
    generation = generation_of_opset(opset)
    if generation is None:
        return f"a system newer than those of {GENERATIONS[-1][1]}"
    return " or ".join(map(str, oldest_systems(generation)))
