"""A target of one's own: every step function as a function of numpy, in a file that needs nothing of mctc.

Here stand its rules and its file format; ports, states, dispatch, places in errors and the proof are mctc.emit's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from runpy import run_path

import numpy as np

from mctc.driver.names import identifier
from mctc.emit.called import Opened
from mctc.emit.emitter import Emitter
from mctc.emit.laid_out import bounds_of, check_convolution, check_order_kept, met_shape
from mctc.emit.rules import Rules
from mctc.emit.skeleton import Emitted, Job, Skeleton, check_precision
from mctc.emit.stored import array_of
from mctc.ir.op import Array, Op
from mctc.ir.ops import convolution, elementwise, leaf, linear, norm, shape
from mctc.ir.program import Function, Program, Value

UNARY = {
    "neg": "-{}", "exp": "np.exp({})", "log": "np.log({})", "sqrt": "np.sqrt({})", "rsqrt": "1 / np.sqrt({})",
    "abs": "np.abs({})", "square": "np.square({})", "relu": "np.maximum({}, 0)", "softplus": "np.logaddexp({}, 0)",
    "tanh": "np.tanh({})", "sigmoid": "(1 + np.tanh({} / 2)) / 2", "silu": "{0} * (1 + np.tanh({0} / 2)) / 2",
}  # fmt: skip
BINARY = {"add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "maximum": "np.maximum({}, {})"}
AXIS = {f"reduce_{kind}": f"{{}}.{kind}({{}}, keepdims=True)" for kind in ("sum", "mean", "max", "min")}
AXIS["softmax"] = "np.exp({0} - np.logaddexp.reduce({0}, {1}, keepdims=True))"
PRELUDE = """import numpy as np
stored = dict(np.load(__file__[:-2] + "npz"))

def _convolve(x, weight, stride, dilation, groups, padding):
    x, spans = np.pad(x, padding), [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation)]
    x = np.lib.stride_tricks.sliding_window_view(x, spans, (2, 3))
    x = x[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    x, weight = x.reshape(len(x), groups, -1, *x.shape[2:]), weight.reshape(groups, -1, *weight.shape[1:])
    return np.einsum("ngchwkl,gockl->ngohw", x, weight).reshape(len(x), -1, *x.shape[3:5])
"""


class NumpyEmitter(Emitter[str]):
    """Writes one function, a statement an op: a rule returns what stands behind the names of the results."""

    target, language = "numpy", "numpy"

    def __init__(self, job: Job, program: Program, function: Function, stored: dict[str, Array]) -> None:
        super().__init__(program, function, states_as_io=job.states_as_io)
        self.weights, self.stored, self.lines = job.weights, stored, list[str]()

    def run(self) -> str:
        self.values = {value: f'given["{name}"]' for name, value in self.ports.taken}
        self.emit_ops(RULES)
        results = ", ".join(f'"{name}": {self.ref(value)}' for name, value in self.ports.given)
        body = [*self.lines, f"return {{{results}}}\n"]
        return "\n    ".join([f"\n\ndef {identifier(self.function.name)}(given):", *body])

    def bind(self, op: Op, made: str) -> None:
        names = [f"v{len(self.lines)}_{index}" for index in range(len(op.results))]
        self.lines.append(f"{', '.join(names)} = {made}")
        super().bind(op, names)

    def array(self, name: str, array: Array) -> str:
        self.stored[name] = array.astype(np.float32) if array.dtype.kind == "f" else array
        return f'stored["{name}"]'

    def shaped(self, value: Value, extents: Sequence[int]) -> str:
        return f"{self.ref(value)}.reshape({tuple(extents)})"


RULES = Rules[NumpyEmitter, str]()
RULES |= {n: lambda op, e, t=t: t.format(e.ref(op.x)) for n, t in UNARY.items()}
RULES |= {
    n: lambda op, e, t=t: t.format(*(e.shaped(v, met_shape(op, v)) for v in op.operands)) for n, t in BINARY.items()
}
RULES |= {n: lambda op, e, t=t: t.format(e.ref(op.x), op.position) for n, t in AXIS.items()}
RULES.of(leaf.Constant)(lambda op, e: e.array(f"constant {len(e.stored)}", array_of(op)))
RULES.of(leaf.ParameterOp)(lambda op, e: e.array(op.parameter, e.weights.deployed(e.program.parameters[op.parameter])))
RULES.of(elementwise.Scale)(lambda op, e: f"{e.ref(op.x)} * np.float32({op.factor}) + np.float32({op.offset})")
RULES.of(elementwise.Clip)(lambda op, e: f"{e.ref(op.x)}.clip({op.low}, {op.high})")
RULES.of(shape.Concat)(lambda op, e: f"np.concatenate([{', '.join(map(e.ref, op.xs))}], {op.position})")


@RULES.of(convolution.Conv2d)
def _convolution(op: convolution.Conv2d, e: NumpyEmitter) -> str:
    check_convolution(op)
    settings = f"{op.stride}, {op.dilation}, {op.groups}, {((0, 0), (0, 0), op.pad_feature, op.pad)}"
    bias = "" if op.bias is None else f" + {e.shaped(op.bias, (-1, 1, 1))}"
    return f"_convolve({e.ref(op.x)}, {e.ref(op.weight)}, {settings}){bias}"


@RULES.of(linear.MatMul)
def _product(op: linear.MatMul, e: NumpyEmitter) -> str:
    turned = ((op.left, op.transpose_left), (op.right, op.transpose_right))
    return " @ ".join(f"{e.ref(value)}{'.swapaxes(-1, -2)' * turn}" for value, turn in turned)


@RULES.of(norm.LayerNorm)
def _layer_norm(op: norm.LayerNorm, e: NumpyEmitter) -> str:
    x, axis = e.ref(op.x), linear.channel_axis(op.x.type)
    along = [-1 if i == axis else 1 for i in range(op.x.type.rank)]
    affine = [f" {sign} {e.shaped(v, along)}" for sign, v in (("*", op.weight), ("+", op.bias)) if v is not None]
    scale = f"np.sqrt({x}.var({axis}, keepdims=True) + {op.epsilon})"
    return f"({x} - {x}.mean({axis}, keepdims=True)) / {scale}{''.join(affine)}"


@RULES.of(shape.Slice)
def _slice(op: shape.Slice, e: NumpyEmitter) -> str:
    b = bounds_of(op)
    return f"{e.ref(op.x)}[{', '.join(f'{a}:{z}:{by}' for a, z, by in zip(b.begin, b.end, b.stride))}]"


@RULES.of(shape.Split)
def _split(op: shape.Split, e: NumpyEmitter) -> str:
    ends = np.cumsum([value.type.shape[op.position] for value in op.results]).tolist()
    return f"np.split({e.ref(op.x)}, {ends[:-1]}, {op.position}){'[0]' * (len(ends) == 1)}"


@RULES.of(shape.Reshape, shape.SplitChannels, shape.MergeChannels)
def _regrouped(op: shape.Regrouping, e: NumpyEmitter) -> str:
    check_order_kept(op)
    return e.shaped(op.x, op.result.type.shape)


class NumpyTarget(Skeleton):
    """Functions of numpy (a .py) and their arrays (a .npz), in fp32."""

    name, suffix, runtime = "numpy", ".py", "numpy"
    forms = {"state": ("io",), "layout": ("single",), "precision": ("fp32",)}

    def write_artifact(self, job: Job, program: Program, functions: Sequence[Function], path: Path) -> Emitted:
        stored: dict[str, Array] = {}
        emitters = [NumpyEmitter(job, program, function, stored) for function in functions]
        path.write_text(PRELUDE + "".join(emitter.run() for emitter in emitters), encoding="utf-8")
        np.savez(path.with_suffix(".npz"), **stored)
        return Emitted({emitter.function.name: len(emitter.lines) for emitter in emitters})

    def engine(self, artifact: Path, precision: str, load: object = None) -> Opened:
        check_precision(artifact, precision)
        defined = run_path(str(artifact))
        return Opened({name: each for name, each in defined.items() if callable(each) and not name.startswith("_")})

    def summary(self, folder: Path) -> Sequence[str]:
        return [f"arrays in {path.name}: {path.stat().st_size / 1e3:.1f} kB" for path in folder.glob("*.npz")]


MCTC_PLUGINS = {"targets": [NumpyTarget]}
