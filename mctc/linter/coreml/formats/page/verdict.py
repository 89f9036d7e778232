"""What the prediction says of one function, in a sentence or two."""

from __future__ import annotations

from mctc.linter.coreml.formats.compile_lines import compile_line
from mctc.linter.coreml.formats.words import counted, milliseconds, portion
from mctc.linter.coreml.placement import Eligible, Predicted
from mctc.linter.coreml.report import FunctionReport
from mctc.linter.coreml.segment import CHARGES, Backend

WHERE = {
    Predicted.ANE: "predicted on the Neural Engine",
    Predicted.CPU: "predicted on the CPU",
    Predicted.DOUBTFUL: "too close to call or contested",
}


def verdict(function: FunctionReport) -> str:
    """Where the estimated work runs, in how many segments, and what that is estimated to take."""
    if not function.ops:
        return "Nothing is computed here: all values are known before the program runs."
    shares = [(function.shares.get(where, 0.0), where) for where in WHERE if function.count(where)]
    if not function.cpu_time:
        return "None of its ops is estimated to take any time."
    shares.sort(key=lambda each: -each[0])
    (_, where), *others = shares
    parts = [f"{_share(function, where)} of the estimated work ({_ops(function, where)}) is {WHERE[where]}"]
    parts += [f"{_share(function, where)} ({_ops(function, where)}) {WHERE[where]}" for _, where in others]
    segments = counted(len(function.segments), "segment")
    return f"{', '.join(parts)}, in {segments}; {_times(function)}.{_too_small(function)}{_costs(function)}"


def _costs(function: FunctionReport) -> str:
    line = compile_line(function.compile)
    return f" Predicted: {line}." if line else ""


def _share(function: FunctionReport, where: Predicted) -> str:
    return portion(function.shares.get(where, 0.0), function.count(where), len(function.ops))


def _ops(function: FunctionReport, where: Predicted) -> str:
    return counted(function.count(where), "op")


def _times(function: FunctionReport) -> str:
    if all(segment.backend is Backend.CPU for segment in function.segments):
        return f"estimated {milliseconds(function.time)}"
    return f"estimated {milliseconds(function.time)} against {milliseconds(function.cpu_time)} all on the CPU"


def _too_small(function: FunctionReport) -> str:
    """Why a function that could run on the engine stays off it."""
    if any(op.eligible is not Eligible.YES or op.predicted is not Predicted.CPU for op in function.ops):
        return ""
    least = milliseconds(CHARGES.launch + CHARGES.output)
    return f" The Neural Engine would take all of it, but the work is too little to make up for {least} of overhead."
