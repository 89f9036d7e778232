"""Faults that take other elements than they should, or lose what was written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mctc.evaluate.coreml.ops.scatter_gather import gather_nd
from mctc.evaluate.faults.fault import Arguments, Fault, Sites, View, Wrong, is_half, references
from mctc.package.model import Operation

WRITES = ("write_state", "coreml_update_state")
SLICE_LIMIT = 4094.0


def _slice_zero(_: Callable[[], Any], given: Arguments) -> Any:
    return gather_nd(given["x"], np.zeros_like(given["indices"]), given.get("batch_dims", 0))


def _zeros(right: Callable[[], Any], _: Arguments) -> Any:
    return np.zeros_like(np.asarray(right()))


def _gathers(wrong: Wrong) -> Callable[[View], Sites]:
    def sites(view: View) -> Sites:
        return Sites({op.index: wrong for op in view.of_type("gather_nd") if view.at_run_time(op, "indices")})

    return sites


def _state(operation: Operation) -> str:
    bound = operation.inputs.get("state") or operation.inputs.get("input") or ()
    return str(getattr(bound[0], "name", "")) if bound else ""


def _later_writes(view: View) -> Sites:
    seen: set[str] = set()
    lost = set()
    for operation in view.of_type(*WRITES):
        if _state(operation) in seen:
            lost.add(operation.index)
        seen.add(_state(operation))
    return Sites({}, frozenset(lost))


def _writes_in_slices(view: View) -> Sites:
    """Writes to all states but the first, of what a slice_update made."""
    written = [op for op in view.of_type(*WRITES) if _by_slice(view, op)]
    first = _state(written[0]) if written else ""
    return Sites({}, frozenset(op.index for op in written if _state(op) != first))


def _by_slice(view: View, operation: Operation) -> bool:
    makers = (view.makers.get(each.name) for each in references(operation))
    return any(maker is not None and maker.type in ("slice_update", "torch_tensor_assign") for maker in makers)


def _slices(view: View) -> Sites:
    """Slices off the start of the last axis."""
    found = {}
    for operation in view.of_type("slice_by_index", "slice_by_size"):
        begin = view.value(operation, "begin")
        last = 0 if begin is None else int(np.asarray(begin).reshape(-1)[-1])
        if last > 0 and is_half(view.type_of(operation, "x")):
            found[operation.index] = _overflowed
    return Sites(found)


def _overflowed(right: Callable[[], Any], _: Arguments) -> Any:
    made = np.asarray(right())
    return np.where(np.abs(made) > SLICE_LIMIT, np.copysign(np.float32(np.inf), made), made)


MOVEMENT = (
    Fault(
        name="gather-nd-slice-0",
        summary="gather_nd by indices of run time takes slice 0 whatever they are",
        where="not told",
        systems="Core ML, 2026 (macOS, version not told), for some shapes",
        source="microsoft/onnxruntime #28598",
        rule="ANE-OP-022b",
        sites=_gathers(_slice_zero),
    ),
    Fault(
        name="gather-nd-zeros",
        summary="gather_nd by indices of run time gives zeros",
        where="not told",
        systems="an iPhone, 2026",
        source="john-rocky/CoreML-LLM, notes on gather_nd",
        rule="ANE-OP-022b",
        sites=_gathers(_zeros),
    ),
    Fault(
        name="second-write-lost",
        summary="of several writes to one state in a call the first alone is kept",
        where="Core AI",
        systems="OS 27 (betas)",
        source="john-rocky/coreai-model-zoo, its table of silent errors",
        sites=_later_writes,
        known=False,
    ),
    Fault(
        name="second-state-lost",
        summary="of several states that slices are written to, the first alone is written",
        where="CPU",
        systems="macOS 26, iOS 26",
        source="john-rocky/CoreML-LLM MLSTATE_PATTERN.md:15-29",
        rule="ANE-ST-003",
        sites=_writes_in_slices,
        known=False,
    ),
    Fault(
        name="slice-overflow",
        summary=f"a slice off the start of the last axis makes values over {SLICE_LIMIT:g} infinite",
        where="Neural Engine, H13 and H14",
        systems="macOS (M1, M2), past Core ML",
        source="sbryngelson/ane-guide chapter 3, appendix A",
        rule="ANE-NM-004",
        sites=_slices,
    ),
)
