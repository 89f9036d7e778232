"""What torch.mps.compile_shader does, without a Mac: checks the launch against the kernel's signature, then runs it.

The rules are those of torch's binding (torch/csrc/mps/Module.cpp): tensors are passed without their strides, an int as
64 bits, a float as 32, a list of ints as 64 bits each; the n-th argument goes to buffer n. CPU tensors stand in for MPS
tensors.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mctc.targets.torch.runtime.metal import Parameter, Size, signature

from . import front_end
from .engine import POISON, Buffer, Program, in_file
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

    text: str
    flags: Sequence[str] = ()
    """Of the engine's g++."""
    seeds: Iterator[int] = field(default_factory=itertools.count)
    """Each launch gets another schedule."""

    def __getattr__(self, name: str) -> Kernel:
        return Kernel(self.text, name, signature(self.text, name), Program(self.text, name, self.flags), self.seeds)


def compile_shader(text: str, flags: Sequence[str] = ()) -> Library:
    """Raises SyntaxError, as torch does, for a text that the rules or clang refuse."""
    refused = [*violations(text), *(complaints(text) if front_end.missing() is None else ())]
    if refused:
        raise SyntaxError(in_file(text, "\n".join(refused)))
    return Library(text, flags)


@dataclass(frozen=True)
class Kernel:
    text: str
    name: str
    parameters: list[Parameter]
    program: Program
    seeds: Iterator[int]

    def __call__(self, *args: object, threads: Size, group_size: Size) -> None:
        groups = self.checked_groups(threads, group_size)
        taken = [parameter for parameter in self.parameters if parameter.space]
        if len(args) != len(taken):
            raise LaunchError(f"{self.name} takes {len(taken)} arguments, not {len(args)}")
        for position, (argument, parameter) in enumerate(zip(args, taken)):
            self.check(argument, parameter, position)
        memories: dict[int, Guarded] = {}
        values = []
        addresses = []
        for argument, parameter in zip(args, taken):
            if isinstance(argument, torch.Tensor):
                storage = argument.untyped_storage()
                if storage.data_ptr() not in memories:
                    memories[storage.data_ptr()] = Guarded(storage)
                memory = memories[storage.data_ptr()]
                memory.admit(parameter.name, argument)
                addresses.append(memory.address + argument.data_ptr() - storage.data_ptr())
            else:
                values.append((parameter.name, as_bytes(argument)))
                addresses.append(ctypes.addressof(values[-1][1]))
        buffers = [memory.buffer() for memory in memories.values()]
        buffers += [Buffer(name, ctypes.addressof(value), ctypes.sizeof(value), 1) for name, value in values]
        self.program.launch(addresses, buffers, groups, group_size, next(self.seeds))
        for memory in memories.values():
            memory.copy_back()

    def checked_groups(self, threads: Size, group_size: Size) -> Size:
        if len(threads) != 3 or len(group_size) != 3:
            raise LaunchError(f"{self.name}: threads and group_size need the same rank, 3 here")
        if any(total < 1 or size < 1 or total % size for total, size in zip(threads, group_size)):
            raise LaunchError(f"{self.name}: threads {threads} are no positive multiple of the group size {group_size}")
        of_group = group_size[0] * group_size[1] * group_size[2]
        most = min(THREADS_OF_GROUP, self.program.most_threads)
        if of_group > most or group_size[0] % SIMD_WIDTH:
            raise LaunchError(
                f"{self.name}: groups of {group_size}; at most {most} threads, the first a multiple of 32"
            )
        used = self.program.threadgroup_bytes
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
            if not argument.numel():
                raise LaunchError(f"{place} is empty, and there is no buffer to bind")
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
        for line in self.text.splitlines():
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


def as_bytes(argument: Any) -> ctypes.Array[Any]:
    items = list(argument) if isinstance(argument, list | tuple) else [argument]
    kind = ctypes.c_float if isinstance(items[0], float) else ctypes.c_longlong
    return (kind * len(items))(*items)


def overlapping(tensor: torch.Tensor) -> bool:
    return any(stride == 0 and size > 1 for size, stride in zip(tensor.shape, tensor.stride()))


class Guarded:
    """A copy of a storage with nothing around it, so that an index gone astray meets no other tensor."""

    GUARD = 1 << 20  # bytes on either side, never touched and so never there

    def __init__(self, storage: torch.UntypedStorage) -> None:
        self.name = ""
        self._storage, self._bytes, self._element = storage, storage.nbytes(), 1
        self._member: torch.Tensor | None = None
        self._mapped = mmap.mmap(-1, self._bytes + 2 * self.GUARD)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._mapped)) + self.GUARD
        ctypes.memmove(self.address, storage.data_ptr(), self._bytes)

    def admit(self, name: str, tensor: torch.Tensor) -> None:
        """Lets the kernel touch the tensor's own elements; the memory is its storage."""
        self._element = tensor.element_size()
        self.name = f"{self.name}+{name}" if self.name else name
        member = torch.zeros(self._bytes // self._element, dtype=torch.uint8)
        member.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())[...] = 1
        member = member.repeat_interleave(self._element // 2)
        self._member = member if self._member is None else self._member | member

    def buffer(self) -> Buffer:
        return Buffer(self.name, self.address, self._bytes, self._element, self._member)

    def copy_back(self) -> None:
        ctypes.memmove(self._storage.data_ptr(), self.address, self._bytes)


class Poison(TorchFunctionMode):
    """Memory that torch hands out uninitialised holds what the engine takes for memory that nothing has written."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        if function in (torch.empty, torch.empty_like, torch.empty_strided, torch.Tensor.new_empty):
            torch.empty(0, dtype=torch.int16).set_(made.untyped_storage()).fill_(POISON)
        return made
