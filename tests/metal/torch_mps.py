"""What torch.mps.compile_shader does, without a Mac: checks the launch against the kernel's signature, then runs it.

The rules are those of torch's binding (torch/csrc/mps/Module.cpp): tensors are passed without their strides, an int as
64 bits, a float as 32, a list of ints as 64 bits each; the n-th argument goes to buffer n. CPU tensors stand in for MPS
tensors.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mctc.targets.torch.runtime.metal import Parameter, Size, signature

from . import front_end
from .engine import POISON, Buffer, Program
from .front_end import complaints
from .text_rules import violations

THREADS_OF_GROUP = 1024
SIMD_WIDTH = 32
THREADGROUP_BYTES = 32 << 10
# Element types that a buffer of that type can hold.
TENSOR_TYPES = {
    torch.float32: "float",
    torch.float16: "half",
    torch.bfloat16: "bfloat",
    torch.int32: "int",
    torch.int64: "long",
}
# What a Python value may be read as: an int arrives as 64 bits, little endian, so its low half is the 32-bit number.
INT_TYPES = ("long", "ulong", "int", "uint")
LIST_TYPES = {int: "long", float: "float"}


class LaunchError(Exception):
    """A launch that torch or Metal would refuse, or would take for something else."""


@dataclass(frozen=True)
class Library:
    """What compile_shader returns: the kernels of a text as attributes."""

    program: Program
    seeds: Iterator[int]

    def __getattr__(self, name: str) -> Kernel:
        return Kernel(self.program, name, signature(self.program.text, name), self.seeds)


def compile_shader(text: str, flags: Sequence[str] = ()) -> Library:
    """Raises SyntaxError, as torch does, for a text that the rules or clang refuse. `flags` go to the engine's g++."""
    refused = [*violations(text), *(complaints(text) if front_end.missing() is None else ())]
    if refused:
        raise SyntaxError("\n".join(refused))
    return library(Program(text, flags))


def library(program: Program) -> Library:
    """The kernels of a program, each launch with another schedule."""
    return Library(program, itertools.count())


@dataclass(frozen=True)
class Kernel:
    program: Program
    name: str
    parameters: list[Parameter]
    seeds: Iterator[int]

    def __call__(self, *args: object, threads: Size, group_size: Size) -> None:
        groups = self.checked_groups(threads, group_size)
        taken = [parameter for parameter in self.parameters if parameter.space]
        if len(args) != len(taken):
            raise LaunchError(f"{self.name} takes {len(taken)} arguments, not {len(args)}")
        for position, (argument, parameter) in enumerate(zip(args, taken)):
            self.check(argument, parameter, position)
        kept: list[object] = []
        addresses, buffers = [], {}
        for argument, parameter in zip(args, taken):
            if isinstance(argument, torch.Tensor):
                addresses.append(argument.data_ptr())
                storage = argument.untyped_storage()
                if storage.nbytes():
                    known = buffers.get(storage.data_ptr())
                    buffers[storage.data_ptr()] = tensor_buffer(parameter.name, argument, known)
            else:
                value = as_bytes(argument)
                kept.append(value)
                addresses.append(ctypes.addressof(value))
                buffers[addresses[-1]] = Buffer(parameter.name, addresses[-1], ctypes.sizeof(value), 1)
        self.program.launch(self.name, addresses, list(buffers.values()), groups, group_size, next(self.seeds))

    def checked_groups(self, threads: Size, group_size: Size) -> Size:
        if len(threads) != 3 or len(group_size) != 3:
            raise LaunchError(f"{self.name}: threads and group_size need the same rank, 3 here")
        if any(total < 1 or size < 1 or total % size for total, size in zip(threads, group_size)):
            raise LaunchError(f"{self.name}: threads {threads} are not a positive multiple of the group size {group_size}")
        of_group = group_size[0] * group_size[1] * group_size[2]
        most = min(THREADS_OF_GROUP, self.program.most_threads(self.name))
        if of_group > most or group_size[0] % SIMD_WIDTH:
            raise LaunchError(f"{self.name}: groups of {group_size} threads; at most {most}, the first a multiple of 32")
        used = self.program.threadgroup_bytes(self.name)
        if used > THREADGROUP_BYTES:
            raise LaunchError(f"{self.name}: {used} bytes of threadgroup memory, of {THREADGROUP_BYTES}")
        return threads[0] // group_size[0], threads[1] // group_size[1], threads[2] // group_size[2]

    def check(self, argument: object, parameter: Parameter, position: int) -> None:
        """Refuses an argument that the kernel would read as something else."""
        place = f"{self.name}: argument {position} for {parameter.name}"
        if parameter.attribute != f"buffer({position})":
            raise LaunchError(f"{place} goes to buffer {position}, which the kernel calls {parameter.attribute}")
        declared = self.element(parameter.type)
        if isinstance(argument, torch.Tensor):
            if parameter.space != "device" or parameter.reference != "*":
                raise LaunchError(f"{place} is a tensor, declared {parameter.space} {declared}{parameter.reference}")
            if TENSOR_TYPES.get(argument.dtype) != declared:
                raise LaunchError(f"{place} is a tensor of {argument.dtype}, declared {declared}")
            if not parameter.is_const and overlapping(argument):
                raise LaunchError(f"{place} is written, but its elements overlap in memory")
            return
        if parameter.space != "constant":
            raise LaunchError(f"{place} is {argument!r}, where a tensor is declared")
        wanted, reference = python_types(argument, place)
        if parameter.reference != reference or declared not in wanted:
            raise LaunchError(f"{place} arrives as {wanted[0]}{reference}, declared {declared}{parameter.reference}")

    def element(self, type_: str) -> str:
        """The type that a macro such as ELEMENT stands for."""
        for line in self.program.text.splitlines():
            words = line.split()
            if words[:1] == ["#define"] and words[1:2] == [type_]:
                return words[2]
        return type_


def python_types(argument: object, place: str) -> tuple[Sequence[str], str]:
    """What a Python value may be declared as: the element types, and pointer or reference."""
    if isinstance(argument, list | tuple) and argument and {type(item) for item in argument} in ({int}, {float}):
        return (LIST_TYPES[type(argument[0])],), "*"
    if type(argument) is int:
        fits = -(2**31) <= argument < 2**31
        return INT_TYPES if fits else INT_TYPES[:2], "&"
    if type(argument) is float:
        return ("float",), "&"
    raise LaunchError(f"{place} is {argument!r}, which torch.mps doesn't pass")


def as_bytes(argument: object) -> ctypes.Array[ctypes.c_longlong] | ctypes.Array[ctypes.c_float]:
    items = list(argument) if isinstance(argument, list | tuple) else [argument]
    kind = ctypes.c_float if isinstance(items[0], float) else ctypes.c_longlong
    return (kind * len(items))(*items)


def overlapping(tensor: torch.Tensor) -> bool:
    return any(stride == 0 and size > 1 for size, stride in zip(tensor.shape, tensor.stride()))


def tensor_buffer(name: str, tensor: torch.Tensor, known: Buffer | None) -> Buffer:
    """The tensor's storage as a buffer, of which the kernel may touch the tensor's own elements alone."""
    storage, size = tensor.untyped_storage(), tensor.element_size()
    member = torch.zeros(storage.nbytes() // size, dtype=torch.uint8)
    member.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())[...] = 1
    member = member.repeat_interleave(size // 2)
    if known is not None:
        assert known.member is not None
        name, member = f"{known.name}+{name}", member | known.member
    return Buffer(name, storage.data_ptr(), storage.nbytes(), size, member)


class Poison(TorchFunctionMode):
    """Memory that torch hands out uninitialised holds what the engine takes for memory that nothing has written."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        if function in (torch.empty, torch.empty_like, torch.empty_strided, torch.Tensor.new_empty):
            torch.empty(0, dtype=torch.int16).set_(made.untyped_storage()).fill_(POISON)
        return made
