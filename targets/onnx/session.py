"""ONNX models executed by onnxruntime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mctc.diagnostics.near import did_you_mean, listing
from mctc.ir.op import Array
from mctc.records import dataclass
from mctc.targets.onnx.errors import OnnxError
from mctc.targets.onnx.library import import_onnxruntime

ELEMENTS: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}
ERRORS_ONLY = 3  # onnxruntime's log level: it warns of every initialiser that it folds


@dataclass(frozen=True)
class OnnxPort:
    """An input: extents that differ from call to call are names."""

    name: str
    element: str
    shape: tuple[int | str | None, ...]

    def fitted(self, function: str, array: Array) -> Array:
        """The array in the input's element type. Raises OnnxError when its shape does not fit."""
        fits = len(self.shape) == array.ndim and all(
            not isinstance(want, int) or want == have for want, have in zip(self.shape, array.shape)
        )
        if not fits:
            told = ", ".join("?" if extent is None else str(extent) for extent in self.shape)
            raise OnnxError(f"input `{self.name}` of '{function}' is [{told}], not {list(array.shape)}")
        if self.element not in ELEMENTS:
            raise OnnxError(f"input `{self.name}` of '{function}' is a {self.element}, which mctc does not feed")
        return np.asarray(array, ELEMENTS[self.element], order="C")


class OnnxModel:
    """A model that was opened. Raises OnnxError for a file that onnxruntime can't read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        # One thread: a step is too small to be worth waking others, and its sums are the same on every machine.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        # Stored codes become weights once, at the load: left in, the nodes that do it are executed in each call.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        if not path.is_file():
            raise OnnxError(f"{path} is no file")
        try:
            self._session: Any = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class of its own for every status, derived from Exception alone
            raise OnnxError(f"{path}: onnxruntime can't load it: {_told(error)}") from error

    def function(self, name: str | None = None) -> OnnxFunction:
        """The model's one function, which bears the name of its graph. Raises OnnxError for another name."""
        own = str(self._session.get_modelmeta().graph_name)
        if name not in (None, own):
            raise OnnxError(f"{self.path} holds no function `{name}`", hint=f"it holds {own}")
        return OnnxFunction(own, self._session)


class OnnxFunction:
    """A model ready to be called; its states, if it has any, are inputs and outputs."""

    states: Sequence[OnnxPort] = ()

    def __init__(self, name: str, session: Any) -> None:
        self.name, self._session = name, session
        self.inputs = [OnnxPort(port.name, port.type, tuple(port.shape)) for port in session.get_inputs()]
        self.outputs = [str(port.name) for port in session.get_outputs()]

    def make_state(self) -> MutableMapping[str, Array]:
        """None: states are inputs and outputs."""
        return {}

    def __call__(self, inputs: Mapping[str, Array], state: Any = None) -> dict[str, Array]:
        """One call: outputs by name. Raises OnnxError naming the input that is missing, unknown or misshapen."""
        names = [port.name for port in self.inputs]
        for name in inputs:
            if name not in names:
                hint = did_you_mean(name, names) or f"there are {listing(names)}"
                raise OnnxError(f"'{self.name}' has no input `{name}`", hint=hint)
        missing = [name for name in names if name not in inputs]
        if missing:
            raise OnnxError(f"'{self.name}' needs input {listing(missing)}")
        given = {port.name: port.fitted(self.name, np.asarray(inputs[port.name])) for port in self.inputs}
        try:
            results = self._session.run(self.outputs, given)
        except Exception as error:  # as above
            raise OnnxError(f"'{self.name}' can't be executed: {_told(error)}") from error
        return dict(zip(self.outputs, map(np.asarray, results)))


def _told(error: Exception) -> str:
    """The first line of an error of onnxruntime."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
