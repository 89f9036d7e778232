"""Which function of a build classifies frames."""

from __future__ import annotations

from mctc.driver.options import BuildError
from mctc.ir.types import Role
from mctc.runtime.built import Built, BuiltFunction, BuiltPort


def classifier(built: Built) -> tuple[BuiltFunction, BuiltPort]:
    """The function of frames that returns classes of each, and that result. Raises BuildError when there is none."""
    for function in built.functions.values():
        for port in function.over_time():
            if function.role is Role.TIME and port.type.find(Role.VOCABULARY) is not None:
                return function, port
    hint = "`mctc run PACKAGE --input x.npy` runs any function of its package"
    if built.lengths.streams and any(function.role is Role.TIME for function in built.functions.values()):
        hint += "; results without time are told of a model that takes an utterance, not a stream of chunks"
    raise BuildError(f"{built.folder} has no predictor and joiner, and no encoder whose frames are classes", hint=hint)
