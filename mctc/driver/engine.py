"""What executes artifacts: the interface between a target's own runtime and everything that runs a build."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Protocol

from mctc.diagnostics.errors import MctcError
from mctc.ir.op import Array


class RuntimeMissingError(MctcError):
    """What executes an artifact isn't installed here, or there is none for this machine."""


class Named(Protocol):
    """An input or state, as far as callers need it."""

    @property
    def name(self) -> str: ...


class Executable(Protocol):
    """A function that is ready to be called; arrays go by their names in the artifact.

    One over whole utterances that takes padded batches has `takes_lengths` true: it takes `lengths` [batch] besides.
    """

    @property
    def name(self) -> str: ...

    @property
    def inputs(self) -> Sequence[Named]: ...

    @property
    def states(self) -> Sequence[Named]:
        """States that live between calls; none where states are inputs and outputs."""

    def make_state(self) -> MutableMapping[str, Array]:
        """States of zeros, by name."""

    def __call__(self, inputs: Mapping[str, Array], state: Any = None) -> dict[str, Array]:
        """One call: outputs by name; `state`, from make_state or an earlier call, is updated in place.

        Raises MctcError naming the input that is missing, unknown or misshapen.
        """


class Engine(Protocol):
    """An artifact that was opened for execution."""

    def function(self, name: str | None = None) -> Executable:
        """The function stored under a name, or the artifact's default one. Raises MctcError when there is none."""
