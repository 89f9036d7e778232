"""The encoder of a build over a whole utterance in one call, where the build holds such a function beside its steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mctc.driver.options import BuildError
from mctc.ir.dims import Extent
from mctc.ir.types import Axis, Role, TensorType
from mctc.runtime.built import BuiltPort
from mctc.runtime.encoder import Frames, from_port, to_port
from mctc.runtime.searched import Recogniser

ANYWAY = "{} takes whole utterances anyway"


class WholeEncoder:
    """What a stream of the same frames gives, without a chunk or a carried state in between.

    Raises BuildError for a build without such a function, and for one that takes whole utterances alone.
    """

    def __init__(self, model: Recogniser) -> None:
        built, stream = model.built, model.stream()
        if not built.lengths.streams:
            raise BuildError(ANYWAY.format(built.folder), hint="leave --whole out")
        if model.encoder not in built.whole:
            told = f"{built.folder} holds no {model.encoder} over whole utterances"
            raise BuildError(told, hint="builds of --target onnx and --target torch do")
        self._call, self._input, self._output = model.packages.whole(model.encoder), stream.input, stream.output
        self._chunk, self._strides, self._none = stream.chunk, stream.output.frames or 1, stream.finish()

    @property
    def frame(self) -> int:
        """Log-mel frames of an encoded one."""
        return self._chunk // self._strides

    def __call__(self, mel: Frames) -> Frames:
        """Encoded frames [frames, width] of log-mel frames [frames, bins]; zeros fill the last stride."""
        strides = -(-len(mel) // self.frame)
        if not strides:
            return self._none
        filled = np.pad(mel, ((0, strides * self.frame - len(mel)), (0, 0)))
        given = {self._input.spec: to_port(filled, _of(self._input, len(filled)))}
        return from_port(self._call(given)[self._output.spec], _of(self._output, strides))


def _of(port: BuiltPort, frames: int) -> BuiltPort:
    """The port for so many frames."""
    axes = (Axis(axis.role, Extent.of(frames)) if axis.role is Role.TIME else axis for axis in port.type.axes)
    return replace(port, frames=frames, type=TensorType(port.type.dtype, tuple(axes)))
