"""How many bytes an op moves: activations, and weights as they are stored and as they are unpacked."""

from __future__ import annotations

from itertools import chain

from mctc.linter.coreml.graph import Op, elements, tensor_bytes
from mctc.package import Reference


def moved_bytes(op: Op) -> tuple[int, int, int]:
    """Bytes of activations in and out, of weights as stored, and of weights unpacked."""
    function = op.function
    moved = sum(tensor_bytes(result.type) for result in op.results)
    stored = unpacked = 0
    for binding in chain.from_iterable(op.operation.inputs.values()):
        size = tensor_bytes(function.type_of(binding))
        if isinstance(binding, Reference) and binding.name not in function.fixed:
            moved += size
        else:
            packed = function.compressed.get(binding.name) if isinstance(binding, Reference) else None
            stored += size if packed is None else packed_bytes(packed)
            unpacked += size
    return moved, stored, unpacked


def packed_bytes(op: Op) -> int:
    """Bytes that the operands of a constexpr op take, those of constexpr ops before it included, each once."""
    total, steps, seen = 0, [op], {op}
    for step in steps:  # grows while it is walked
        for operand in step.operands:
            inner = step.compression(operand)
            if inner is None:
                total += sum(tensor_bytes(type_) for type_ in step.types(operand) if type_)
            elif inner not in seen:
                seen.add(inner)
                steps.append(inner)
    return total


def streamed_bytes(op: Op) -> int:
    """Bytes that the segmenter counts: of all operands that are no constants, and of the first result.

    The indices of a topk and the second half of a split are in no estimate of the study (iso/topk_w, iso/split_c), nor
    is the second value of a stack (iso/stack).
    """
    fixed, function = op.function.fixed, op.function
    inputs = op.operation.inputs.values()
    bindings = (each[:1] for each in inputs) if op.type == "stack" else inputs
    taken = (each for each in chain.from_iterable(bindings) if isinstance(each, Reference) and each.name not in fixed)
    made = tensor_bytes(op.results[0].type) if op.results else 0
    return made + sum(tensor_bytes(function.type_of(each)) for each in taken)


def entries(op: Op) -> int:
    """Elements of all operands that are tensors or numbers, constants included."""
    types = (op.function.type_of(binding) for binding in chain.from_iterable(op.operation.inputs.values()))
    return sum(elements(type_) for type_ in types if tensor_bytes(type_))
