"""The encoder of a build whose frames are classified, as the greedy CTC search wants it."""

from __future__ import annotations

from pathlib import Path

from mctc.build.options import BuildError
from mctc.decode.ctc import CtcDecoder
from mctc.ir.types import Role
from mctc.runtime.built import Built, BuiltFunction, BuiltPort
from mctc.runtime.encoder import Encoder
from mctc.runtime.step import Packages


class Ctc:
    """The function that takes frames, and the search over its classes. Raises BuildError where it has none."""

    def __init__(self, built: Built, precision: str | None = None, checkpoint: Path | None = None) -> None:
        function, output = classifier(built)
        packages = Packages(built, precision, lambda program: built.values(program, checkpoint))
        self.encoder = Encoder(packages.step(function.name), output)
        self.decoder = CtcDecoder(built.vocabulary(function.name, output), built.blank)


def classifier(built: Built) -> tuple[BuiltFunction, BuiltPort]:
    """The function of frames that returns classes of each, and that result. Raises BuildError when there is none."""
    for function in built.functions.values():
        for port in function.streaming(function.outputs, Role.TIME):
            if function.role is Role.TIME and port.type.find(Role.VOCABULARY) is not None:
                return function, port
    raise BuildError(
        f"{built.folder} has no predictor and joiner, and no encoder whose frames are classes",
        hint="`mctc run PACKAGE --input x.npy` runs any function of its package",
    )
