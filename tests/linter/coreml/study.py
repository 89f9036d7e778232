"""What Core ML's own plan and its own estimates say of 475 small graphs on an M4: a public study's figures, and the
graphs written anew in the notation.

The figures are facts from 751K/Apple-Neural-Engine-Microarchitecture-Study-M6, commit 5cb462b, folder
data/03_compile/opdispatch (M4, macOS 27.0.1, coremltools 9.0, opset CoreML8, fp16, CPU and Neural Engine; the method
is in its notes/coreml_dispatch.md). study/graphs.txt: every graph with where the plan puts each op (A Neural Engine,
C CPU), alone and between two layers before and two behind (`-`: not measured). study/estimates.tsv: microseconds that
Core ML estimates for single ops on the Neural Engine and on the CPU (BNNS), from ana/{iso,ctx}/NAME.mil.

`python tests/linter/coreml/study.py` prints the scores of the mctc that is installed, as JSON.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zlib import crc32

from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.cost import cost
from mctc.linter.coreml.graph import Op, PackageGraph
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.placement import Predicted
from mctc.linter.coreml.report import Report
from mctc.linter.coreml.table import table

FOLDER = Path(__file__).parent / "study"
DEVICE, SYSTEM = "m4", "macos27"
LETTERS = {Predicted.ANE: "A", Predicted.CPU: "C", Predicted.DOUBTFUL: "?"}
EXAMPLES = frozenset((
    "conv3x3", "conv1x1", "matmul_dyn", "upsample_bilinear", "concat_c", "sdpa", "softmax_c", "layer_norm_c", "relu",
    "transpose_hw",
))  # fmt: skip
"""Those that the study's text gives as examples."""
ALONE = frozenset(("iso/conv_transpose_1d", "iso/mul", "iso/transpose_nc"))
"""Those that alone show one of the rates."""


@dataclass(frozen=True)
class Graph:
    """name: `iso/add` alone, `ctx/add` in context. plan: a letter for each op, in order."""

    name: str
    text: str
    plan: str


@dataclass(frozen=True)
class Estimate:
    """Microseconds that Core ML estimates for an op of a graph; None where the engine does not take it."""

    graph: str
    index: int
    ane: float | None
    cpu: float | None

    @property
    def fitted(self) -> bool:
        """Whether mctc's rates were fitted to it: half of the names by their CRC-32, examples and what stands alone."""
        name = self.graph.partition("/")[2]
        return crc32(name.encode()) % 2 == 0 or name in EXAMPLES or self.graph in ALONE


@dataclass(frozen=True)
class Score:
    """Ops that are predicted and are there, that are doubtful, and that are predicted and are elsewhere."""

    right: int
    doubtful: int
    wrong: int

    def share(self, count: int) -> float:
        """Per cent of all ops."""
        return 100 * count / (self.right + self.doubtful + self.wrong)


@cache
def graphs() -> Mapping[str, Graph]:
    """Every graph by name."""
    found = []
    for block in (FOLDER / "graphs.txt").read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith("##")]
        _, name, alone, between = lines[0].split()
        found.append(Graph(f"iso/{name}", returned(lines[1:]), alone))
        if between != "-":
            found.append(Graph(f"ctx/{name}", returned(in_context(lines[1:])), between))
    return {graph.name: graph for graph in found}


@cache
def estimates() -> tuple[Estimate, ...]:
    rows = (FOLDER / "estimates.tsv").read_text(encoding="utf-8").splitlines()
    return tuple(_estimate(*row.split("\t")) for row in rows if not row.startswith("#"))


def _estimate(graph: str, index: str, ane: str, cpu: str) -> Estimate:
    return Estimate(graph, int(index), *(None if each == "-" else float(each) for each in (ane, cpu)))


def returned(lines: Iterable[str]) -> str:
    lines = list(lines)
    return "\n".join([*lines, f"return {lines[-1].partition(':')[0]}"])


def in_context(lines: list[str]) -> list[str]:
    """Two layers with relu on every fp16 input and output of three or four axes: convolutions 3x3 or linear layers."""
    inputs = [line for line in lines if " = " not in line]
    ops = [line for line in lines if " = " in line]
    layers: list[str] = []
    for number, line in enumerate(inputs):
        name, type_ = line.split(": ", 1)
        added = list(_layers(f"w{number}", name, type_))
        layers += added
        if added:
            ops = [re.sub(rf"\b{name}\b", f"w{number}", op) for op in ops]
    if layers and re.fullmatch(r"y: .* = relu\(x=w0\)", ops[0]):
        ops = []  # a relu of a relu: coremltools leaves it out
    name, type_ = (ops or layers)[-1].split(" = ")[0].split(": ", 1)
    return [*inputs, *layers, *ops, *_layers("z", name, type_.strip("()").split("], ")[0].rstrip("]") + "]")]


def _layers(name: str, before: str, type_: str) -> Iterator[str]:
    match = re.fullmatch(r"fp16\[(\d+(?:, \d+){2,3})\]", type_)
    shape = [int(each) for each in match.group(1).split(", ")] if match else []
    if not shape or (len(shape) == 3 and shape[2] > 2048):
        return
    for _ in range(2):
        yield f"{name}: {type_} = {_layer(before, shape)}"
        yield f"{name}: {type_} = relu(x={name})"
        before = name


def _layer(before: str, shape: list[int]) -> str:
    if len(shape) == 3:
        return f"linear(bias=fp16[{shape[2]}], weight=fp16[{shape[2]}, {shape[2]}], x={before})"
    channels = shape[1]
    if channels > 512:
        return f'conv(groups={channels}, pad_type="same", weight=fp16[{channels}, 1, 3, 3], x={before})'
    return f'conv(pad_type="same", weight=fp16[{channels}, {channels}, 3, 3], x={before})'


@cache
def ops_of(graph: Graph) -> Sequence[Op]:
    return PackageGraph(read_notation(graph.text)).functions["main"].ops


def op_of(row: Estimate) -> Op:
    return ops_of(graphs()[row.graph])[row.index]


@cache
def read(graph: Graph) -> Report:
    return check_package(read_notation(graph.text), table().rules.values(), device=DEVICE, system=SYSTEM)


def placed(graph: Graph) -> str:
    """Where mctc predicts the ops of a graph: A, C, or ? for doubtful."""
    return "".join(LETTERS[op.predicted] for op in read(graph).functions[0].ops)


def score(chosen: Iterable[Graph]) -> Score:
    found: Counter[str] = Counter()
    for graph in chosen:
        for predicted, measured in zip(placed(graph), graph.plan, strict=True):
            found["?" if predicted == "?" else str(predicted == measured)] += 1
    return Score(found["True"], found["?"], found["False"])


def errors(chosen: Iterable[Estimate]) -> list[float]:
    """By how much mctc's estimates are off, as a share of the study's, each side a figure, from the smallest on."""
    found = []
    for row in chosen:
        ours = cost(op_of(row))
        found += [abs(a / b - 1) for a, b in ((ours.ane, row.ane), (ours.cpu, row.cpu)) if b is not None]
    return sorted(found)


def quantile(sorted_: list[float], share: float) -> float:
    """The smallest value that so large a share of all does not exceed."""
    return sorted_[max(0, -(-int(share * 1000) * len(sorted_) // 1000) - 1)]


def main() -> None:
    told = score(graphs().values())
    off = errors(row for row in estimates() if not row.fitted)
    print(json.dumps({
        "ops": told.right + told.doubtful + told.wrong,
        "right": told.share(told.right), "doubtful": told.share(told.doubtful), "wrong": told.share(told.wrong),
        "figures": len(off), "median": quantile(off, 0.5), "most": quantile(off, 0.95),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
