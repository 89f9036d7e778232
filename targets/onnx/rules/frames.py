"""Loops over frames: ONNX's Scan with a body that a rule writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnx import helper

from mctc.ir.dims import Extent
from mctc.records import dataclass
from mctc.targets.onnx.graph import GraphEmitter, declared

Frame = Callable[[Sequence[str], Sequence[str]], tuple[list[str], list[str]]]


@dataclass(frozen=True)
class Carried:
    """A value outside of the loop, and what the body sees of it: a state whole, an input one frame at a time."""

    name: str
    extents: Sequence[Extent]
    element: str = "float32"


def scan_frames(
    e: GraphEmitter,
    states: Sequence[Carried],
    inputs: Sequence[Carried],
    frame: Frame,
    results: Sequence[Sequence[Extent]],
) -> list[str]:
    """Results over the frames, then the last states.

    inputs are read, and results written, frame by frame along their first axis; results are fp32 of these extents.
    frame: writes the body's nodes: names of states and of one frame of the inputs in, new states and results out.
    """
    held, read = ([e.names.fresh(name) for _ in each] for name, each in (("state", states), ("frame", inputs)))
    with e.body() as nodes:
        new, made = frame(held, read)
    takes = [declared(name, c.element, c.extents) for name, c in zip([*held, *read], [*states, *inputs])]
    gives = [declared(name, c.element, c.extents) for name, c in zip(new, states)]
    gives += [declared(name, "float32", extents) for name, extents in zip(made, results)]
    body = helper.make_graph(nodes, e.names.fresh("each_frame"), takes, gives)
    operands = [carried.name for carried in (*states, *inputs)]
    found = e.several("Scan", operands, len(gives), body=body, num_scan_inputs=len(inputs))
    return [*found[len(states) :], *found[: len(states)]]
