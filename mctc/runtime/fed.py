"""Arrays that are fed to what was built, held to what the spec says of inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.driver.manifest import NAME, read_manifest
from mctc.driver.names import SAMPLES
from mctc.driver.options import BuildError
from mctc.ir.domain import Domain, Interval, described_as
from mctc.ir.op import Array

OVERSHOOT = 2.0
"""Of full scale, 1: lossy codecs and changes of the rate bring no sample to. Larger ones have another scale."""

QUIETER = "full scale is 1, and this sound goes far beyond it: make it quieter, or divide it by its own full scale"


class FedError(MctcError):
    """An entry of an input that is not what the spec says; names the input, the entry and the domain."""


def domain_of(port: Mapping[str, Any]) -> Domain | None:
    """What the entries of a port of a manifest may be, if anything is said."""
    ids = port.get("ids_below")
    if "domain" in port:
        return described_as(port["domain"], whole=ids is not None or port["dtype"] == "int32")
    return None if ids is None else Interval(0, ids, (False, True), whole=True)


def refuse_outside(name: str, array: Array, domain: Domain | None) -> None:
    """Raises FedError for the first entry that is not in the domain."""
    array = np.asarray(array)
    place = domain.first_outside(array) if domain is not None else None
    if place is not None:
        entry = array[place].item()
        raise FedError(f"input {name}: entry {list(place)} is {entry:g}, and the spec says: {domain}")


def heard(name: str, frames: Array, exist: int, domain: Domain | None) -> Array:
    """Frames of a recording, the first `exist` of which exist, as an input takes them: samples that the spec rules out
    because a codec or another rate brought them a little beyond full scale are at full scale. Raises FedError."""
    if name == SAMPLES and domain is not None:
        beyond = ~domain.holds(frames) & (np.abs(frames) < OVERSHOOT)
        frames = np.where(beyond, np.clip(frames, -1, 1), frames)
    try:
        refuse_outside(name, frames[:exist], domain)
    except FedError as error:
        error.hint = QUIETER if name == SAMPLES and (np.abs(frames[:exist]) > 1).any() else None
        raise
    return frames


def refuse_fed(artifact: Path, function: str, given: Mapping[str, Array]) -> None:
    """Holds arrays, by their names in an artifact, to the manifest beside it; an artifact without one takes any."""
    for name, domain in _told(artifact, function).items():
        if name in given:
            refuse_outside(name, given[name], domain)


def _told(artifact: Path, function: str) -> dict[str, Domain | None]:
    """The domains of a function's inputs, by their names in the artifact."""
    for folder in artifact.absolute().parents[:2]:
        if not (folder / NAME).is_file():
            continue
        try:
            manifest = read_manifest(folder)
            entries = [*manifest["functions"].values(), *manifest["whole"].values()]
            called = artifact.absolute().relative_to(folder).as_posix(), function
            found = [entry for entry in entries if (entry["package"], entry["name"]) == called]
            return {port["name"]: domain_of(port) for entry in found[:1] for port in entry["inputs"]}
        except (BuildError, KeyError, TypeError, ValueError, AttributeError):
            return {}  # an artifact that someone put beside another tool's manifest
    return {}
