"""Core ML's message classes, taken from the installed coremltools without importing it.

`import coremltools` costs seconds and imports torch when it can. Its generated protobuf modules stand on their own:
they are loaded here as a private package, by location. protobuf's pool accepts the same file twice, so a later
`import coremltools` in the same process works as ever.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from mctc.package.errors import PackageError

_PRIVATE = "_mctc_coreml_proto"


@lru_cache(maxsize=1)
def model_class() -> Any:
    """The class of `CoreML.Specification.Model`. Raises PackageError when coremltools isn't installed."""
    return _proto_module("Model_pb2").Model


@lru_cache(maxsize=1)
def array_dtypes() -> dict[int, str]:
    """MIL names of the element types of array features, by number in FeatureTypes.proto."""
    values = _proto_module("FeatureTypes_pb2").ArrayFeatureType.ArrayDataType
    names = {"FLOAT16": "fp16", "FLOAT32": "fp32", "DOUBLE": "fp64", "INT32": "int32", "INT8": "int8"}
    return {values.Value(key): name for key, name in names.items() if key in values.keys()}  # noqa: SIM118


def network_messages() -> ModuleType:
    """The message classes of NeuralNetwork.proto. Raises PackageError when coremltools isn't installed."""
    return _proto_module("NeuralNetwork_pb2")


def _proto_module(name: str) -> ModuleType:
    already = sys.modules.get(f"coremltools.proto.{name}")
    if already is not None:
        return already
    if _PRIVATE not in sys.modules:
        spec = importlib.util.find_spec("coremltools")
        folders = [Path(place) / "proto" for place in (spec.submodule_search_locations or [])] if spec else []
        folder = next((place for place in folders if (place / "MIL_pb2.py").is_file()), None)
        if folder is None:
            raise PackageError("Core ML packages can't be read without coremltools", hint="pip install coremltools")
        package = ModuleType(_PRIVATE)
        package.__path__ = [str(folder)]
        sys.modules[_PRIVATE] = package
    try:
        return importlib.import_module(f"{_PRIVATE}.{name}")
    except ImportError as error:
        raise PackageError(f"coremltools' message classes can't be loaded: {error}") from error
