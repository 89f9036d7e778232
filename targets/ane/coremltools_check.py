"""coremltools as a check from outside: its own reader and type inference go over a package that mctc wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mctc.package import Function, Package, TensorType, read_package
from mctc.targets.ane.coremltools_import import import_coremltools
from mctc.targets.ane.errors import EmitError

MIL_NAMES = {"fp16": "fp16", "fp32": "fp32", "int32": "int32", "bool": "bool", "str": "string", "string": "string"}


def check_with_coremltools(path: Path, *, hide: bool = False) -> int:
    """The number of operations whose declared types coremltools infers too.

    Every operation is rebuilt with coremltools' MIL builder, which checks operands and infers types. Raises EmitError
    when it rejects one or infers another type.
    """
    import_coremltools(hide=hide)
    from coremltools.converters.mil.frontend.milproto.load import load
    from coremltools.proto import Model_pb2

    model = Model_pb2.Model()
    model.ParseFromString((path / "Data" / "com.apple.CoreML" / "model.mlmodel").read_bytes())
    weights = str(path / "Data" / "com.apple.CoreML" / "weights")
    try:
        program = load(model, model.specificationVersion, weights)
    except Exception as error:  # whatever its builder raises for an operation that it rejects
        raise EmitError(f"{path}: coremltools rejects the program: {error}") from error
    package = read_package(path)
    return sum(
        _compare(package, name, function, program.functions[name]) for name, function in package.functions.items()
    )


def _compare(package: Package, name: str, function: Function, rebuilt: Any) -> int:
    inferred = {var.name: var for op in rebuilt.operations for var in op.outputs}
    count = 0
    for operation in function.operations:
        for output in operation.outputs:
            if output.name not in inferred or not isinstance(output.type, TensorType) or operation.type == "const":
                continue
            found = inferred[output.name]
            dtype = MIL_NAMES.get(_dtype_name(found), _dtype_name(found))
            if tuple(found.shape) != output.type.shape or dtype != output.type.dtype:
                raise EmitError(
                    f"{package.path}: {operation} of '{name}' declares {output.type}, "
                    f"coremltools infers {dtype}{list(found.shape)}"
                )
            count += 1
    return count


def _dtype_name(var: Any) -> str:
    from coremltools.converters.mil.mil.types import builtin_to_string

    return str(builtin_to_string(var.dtype))
