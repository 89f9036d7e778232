"""Models read back from disk: checked by onnx, executed by onnxruntime, compared with the IR."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mctc.build.agreement import agreement, random_arrays
from mctc.build.compile import Compiled
from mctc.build.names import STATE_OUT, identifier
from mctc.build.target import Agreement, Interface, Written
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Function, Program
from mctc.rewrite.validate import symbol_sizes
from mctc.targets.onnx.errors import OnnxError
from mctc.targets.onnx.library import import_onnx
from mctc.targets.onnx.session import OnnxModel
from mctc.weights import Weights

# Of the largest magnitude in a result: fp32 against float64, with the same weights bit for bit.
TOLERANCE = 1e-4


def check_models(compiled: Compiled, weights: Weights, folder: Path, written: Written) -> list[Agreement]:
    """Checks every model and runs it once on random inputs and states. Raises OnnxError for a model that onnx rejects,
    BuildError when a result is more than TOLERANCE from the program's."""
    found: list[Agreement] = []
    for name, interface in written.interfaces.items():
        check_file(folder / interface.artifact)
        found += _compare(compiled.deployed, compiled.deployed.functions[name], weights, folder, interface)
    unfolded = weights.of_another_program()
    for name, interface in written.whole.items():
        check_file(folder / interface.artifact)
        found += _compare(compiled.whole, compiled.whole.functions[name], unfolded, folder, interface)
    return found


def check_file(path: Path) -> int:
    """onnx's checker and strict shape inference over a file. The number of values whose inferred type was compared
    with the declared one. Raises OnnxError where they differ."""
    onnx = import_onnx()
    try:
        onnx.checker.check_model(str(path), full_check=True)
        model = onnx.load(str(path), load_external_data=False)
        declared = {info.name: info for info in (*model.graph.value_info, *model.graph.output)}
        bare = onnx.ModelProto()
        bare.CopyFrom(model)
        bare.graph.ClearField("value_info")
        for output in bare.graph.output:
            output.type.tensor_type.ClearField("shape")
        inferred = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise OnnxError(f"{path}: onnx rejects the model: {str(error).strip()}") from error
    return sum(
        _same(path, declared[info.name], info)
        for info in (*inferred.graph.value_info, *inferred.graph.output)
        if info.name in declared
    )


def _same(path: Path, declared: Any, inferred: Any) -> int:
    """1. Raises OnnxError when a type that onnx infers contradicts the declared one; a name of an extent does not."""
    want, have = declared.type.tensor_type, inferred.type.tensor_type
    dims = list(zip(want.shape.dim, have.shape.dim))
    fits = want.elem_type == have.elem_type and len(want.shape.dim) == len(have.shape.dim)
    if not fits or any(w.dim_value != h.dim_value for w, h in dims if h.HasField("dim_value")):
        raise OnnxError(f"{path}: `{declared.name}` is declared as {_shape(want)}, onnx infers {_shape(have)}")
    return 1


def _shape(type_: Any) -> str:
    return f"[{', '.join(str(d.dim_value if d.HasField('dim_value') else d.dim_param) for d in type_.shape.dim)}]"


def _compare(
    program: Program, function: Function, weights: Weights, folder: Path, interface: Interface
) -> Iterable[Agreement]:
    """One call of a function, at a small size of its symbolic extents."""
    sizes, path = symbol_sizes(function), folder / interface.artifact
    inputs = random_arrays({value.name: value.type.substitute(sizes) for value in function.inputs})
    states = random_arrays({state.name: state.value.type for state in function.states})

    def parameter(name: str) -> Array:
        return weights.deployed(program.parameters[name])

    results, updates = evaluate(function, inputs, parameter, states)
    expected = {identifier(name): array for name, array in results.items()}
    expected |= {identifier(name) + STATE_OUT: array for name, array in updates.items()}
    given = {identifier(name): array for name, array in (inputs | states).items()}
    actual = OnnxModel(path).function(interface.name)(given)
    for name, array in expected.items():
        if actual[name].shape != array.shape:
            raise OnnxError(f"{path}: {name} came out as {list(actual[name].shape)}, not {list(array.shape)}")
        yield agreement(path, function.name, name, array, actual[name], TOLERANCE)
