"""What mx.fast.metal_kernel does, without a Mac: writes the kernel's signature around a body, checks a call, runs it.

The rules are those of MLX's generator (mlx/backend/metal/custom_kernel.cpp): buffers in the order of inputs and
outputs, inputs of fewer than 8 entries as `constant`, attributes that the body names as parameters, `grid` in threads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import mlx.core as mx
import numpy as np
import torch

from mctc.targets.torch.runtime.metal import signature

from .engine import POISON, Program
from .front_end import complaints, missing
from .text_rules import violations
from .torch_mps import Kernel, LaunchError

TYPES = {mx.float32: "float", mx.float16: "half", mx.bfloat16: "bfloat", mx.int64: "long"}
TORCH = {mx.float32: torch.float32, mx.float16: torch.float16, mx.bfloat16: torch.bfloat16, mx.int64: torch.int64}
ATTRIBUTES = {
    "threadgroup_position_in_grid": "uint3",
    "thread_position_in_threadgroup": "uint3",
}
SMALL = 8  # entries from which on an input is in `device` memory
PREFIX = "#include <metal_stdlib>\nusing namespace metal;\ntypedef bfloat bfloat16_t;\n"


@dataclass
class MetalKernel:
    """A kernel as metal_kernel returns it. written: its text in each call."""

    name: str
    input_names: Sequence[str]
    output_names: Sequence[str]
    source: str
    header: str = ""
    written: list[str] = field(default_factory=list)
    seeds: Any = field(default_factory=count)

    def __call__(
        self,
        *,
        inputs: Sequence[mx.array],
        grid: tuple[int, int, int],
        threadgroup: tuple[int, int, int],
        output_shapes: Sequence[Sequence[int]],
        output_dtypes: Sequence[Any],
    ) -> list[mx.array]:
        if len(inputs) != len(self.input_names) or len(output_shapes) != len(self.output_names):
            raise LaunchError(f"{self.name} takes {len(self.input_names)} inputs and {len(self.output_names)} outputs")
        if small := [name for name, array in zip(self.input_names, inputs) if array.size < SMALL]:
            raise LaunchError(f"{self.name}: {small} have fewer than {SMALL} entries, and would be `constant`")
        text = self.text([array.dtype for array in inputs], output_dtypes)
        self.written.append(text)
        if refused := [*violations(text), *(complaints(text) if missing() is None else ())]:
            raise SyntaxError("\n".join(refused))
        outputs = [_poisoned(shape, TORCH[dtype]) for shape, dtype in zip(output_shapes, output_dtypes)]
        kernel = Kernel(text, self.name, signature(text, self.name), Program(text, self.name), self.seeds)
        kernel(*map(_as_torch, inputs), *outputs, threads=grid, group_size=threadgroup)
        return [mx.array(made.float().numpy()).astype(dtype) for made, dtype in zip(outputs, output_dtypes)]

    def text(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> str:
        """The whole text: prefix, header, signature, body."""
        taken = [f"device const {TYPES[dtype]}* {name}" for name, dtype in zip(self.input_names, inputs)]
        taken += [f"device {TYPES[dtype]}* {name}" for name, dtype in zip(self.output_names, outputs)]
        arguments = [f"{each} [[buffer({place})]]" for place, each in enumerate(taken)]
        named = [each for each in ATTRIBUTES if re.search(rf"\b{each}\b", self.source)]
        arguments += [f"{ATTRIBUTES[each]} {each} [[{each}]]" for each in named]
        listed = ",\n    ".join(arguments)
        return f"{PREFIX}{self.header}\nkernel void {self.name}(\n    {listed})\n{{{self.source}}}\n"


def _as_torch(array: mx.array) -> torch.Tensor:
    """Row-contiguous, as MLX makes inputs."""
    if array.dtype == mx.bfloat16:
        return torch.from_numpy(np.ascontiguousarray(mx.contiguous(array).view(mx.int16))).view(torch.bfloat16)
    return torch.from_numpy(np.ascontiguousarray(array))


def _poisoned(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    """Memory that nothing has written, as the engine knows it."""
    made = torch.empty(tuple(shape), dtype=dtype)
    torch.empty(0, dtype=torch.int16).set_(made.untyped_storage()).fill_(POISON)
    return made
