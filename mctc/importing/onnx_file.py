"""The numbers of an ONNX model, a tensor at a time: initialisers and constants, those of its branches too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mctc.checkpoint import WeightsError
from mctc.ir.op import Array

SUFFIX = ".onnx"


class OnnxFile:
    """`shapes` of all floating-point tensors of at least one axis by name, and `read` for one of them in float32.

    A constant is called as what its node gives. Raises WeightsError where the file is no ONNX model, where two tensors
    have one name, and where the package onnx is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._onnx = path, _library()
        try:
            model = self._onnx.load(str(path), load_external_data=False)
        except OSError as error:
            raise WeightsError(f"cannot read {path}: {error.strerror}") from error
        except Exception as error:  # protobuf's own errors have no common class but this
            raise WeightsError(f"{path} is no ONNX model: {error}") from error
        self._tensors: dict[str, Any] = {}
        for name, tensor in self._named(model.graph):
            if self._floats(tensor) and tensor.dims:
                if name in self._tensors:
                    raise WeightsError(f"{path} has two tensors called {name}")
                self._tensors[name] = tensor
        self.shapes = {name: tuple(tensor.dims) for name, tensor in self._tensors.items()}

    def read(self, name: str) -> Array:
        """One tensor as float32. Raises WeightsError where its numbers can't be read, or are beyond fp32."""
        try:
            array = self._onnx.numpy_helper.to_array(self._tensors[name], str(self.path.parent))
        except Exception as error:  # of the library: a file beside the model that is missing or lies elsewhere
            raise WeightsError(f"{self.path}: tensor {name} can't be read: {error}") from error
        with np.errstate(over="ignore"):
            single = np.asarray(array, np.float32)
        if np.isinf(single).sum() > np.isinf(np.asarray(array)).sum():
            raise WeightsError(f"{self.path}: tensor {name} has numbers beyond those of fp32")
        return single

    def _named(self, graph: Any) -> Iterator[tuple[str, Any]]:
        yield from ((tensor.name, tensor) for tensor in graph.initializer)
        for node in graph.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.name == "value":
                    yield from ((name, attribute.t) for name in node.output)
                for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                    yield from self._named(inner)

    def _floats(self, tensor: Any) -> bool:
        types = self._onnx.TensorProto
        return tensor.data_type in (types.FLOAT, types.FLOAT16, types.BFLOAT16, types.DOUBLE)


def _library() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise WeightsError(
            "onnx is not installed, and reading an ONNX model needs it", hint="pip install 'mctc[onnx]'"
        ) from error
    return onnx
