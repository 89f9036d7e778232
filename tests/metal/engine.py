"""Runs Metal text on the CPU: compiled as C++, one fiber a thread, every load and store watched (engine/*.cpp).

What it finds, as a `KernelError` that names the line: reads and writes outside of a tensor, reads of what nothing has
written, two threads that touch the same place without a barrier between them, and threads that part ways at a barrier
or a SIMD operation.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from mctc.targets.torch.runtime.metal import Size, signature

SOURCES = Path(__file__).parent / "engine"
POISON = 0x7FAD  # engine.h; what memory holds that nothing has written
FLAGS = ["-std=c++17", "-O1", "-fPIC", f"-I{SOURCES}"]
# The sanitizer's own library is not linked: memory.cpp has the functions that the instrumented code calls.
KERNEL_FLAGS = [
    *FLAGS,
    "-g1",
    "-fsanitize=thread",
    "--param=tsan-instrument-func-entry-exit=0",
    "-ftrivial-auto-var-init=pattern",  # a variable that nothing set is -1.7e38, not by chance 0
    "-ffp-contract=off",
    "-Wno-attributes",
]


class KernelError(Exception):
    """What a kernel did wrong."""


class BuildError(Exception):
    """What a compiler or another tool says against a text."""


@dataclass(frozen=True)
class Array:
    """A threadgroup array, and where it lies in the library."""

    name: str
    offset: int
    bytes: int


@dataclass(frozen=True)
class Buffer:
    """An argument in memory. `member` tells for every two bytes whether they belong to the tensor."""

    name: str
    address: int
    bytes: int
    element: int
    member: torch.Tensor | None = field(default=None)


class Program:
    """A kernel of a Metal text, compiled for the engine."""

    def __init__(self, text: str, kernel: str, flags: Sequence[str] = ()) -> None:
        self.text, self.kernel = text, kernel
        self.path = compiled(text, kernel, tuple(flags))
        self._library = opened(self.path)
        self._arrays = threadgroup_arrays(self.path)

    @property
    def threadgroup_bytes(self) -> int:
        return sum(array.bytes for array in self._arrays)

    @property
    def most_threads(self) -> int:
        """What the kernel's max_total_threads_per_threadgroup allows; 1024 where it says nothing."""
        return ctypes.c_uint.in_dll(self._library, "most_threads").value

    def launch(
        self, addresses: Sequence[int], buffers: Sequence[Buffer], groups: Size, group_size: Size, seed: int = 0
    ) -> None:
        """Runs the kernel with pointers to `addresses`, which may only be followed into `buffers`."""
        library = self._library
        pointers = (ctypes.c_void_p * max(1, len(addresses)))(*addresses)
        buffers = [*buffers, Buffer("the arguments", ctypes.addressof(pointers), ctypes.sizeof(pointers), 1)]
        names = [each.name.encode() for each in (*buffers, *self._arrays)]  # which the engine doesn't copy
        library.engine_clear_regions()
        for name, buffer in zip(names, buffers):
            member = None if buffer.member is None else buffer.member.data_ptr()
            library.engine_add_buffer(name, buffer.address, buffer.bytes, buffer.element, member)
        for name, array in zip(names[len(buffers) :], self._arrays):
            library.engine_add_array(name, array.offset, array.bytes)
        grid = (ctypes.c_uint * 3)(*groups), (ctypes.c_uint * 3)(*group_size)
        error = library.engine_launch(library.enter, pointers, *grid, seed)
        if error is not None:
            raise KernelError(in_file(self.text, f"{self.kernel}: {self._with_lines(error.decode())}"))

    def _with_lines(self, message: str) -> str:
        """The message with the source lines in place of the offsets of instructions."""

        def line(match: re.Match[str]) -> str:
            call = int(match[1], 16) - 1  # the offset is that of the instruction after the call
            found = run(["addr2line", "-i", "-e", str(self.path), hex(call)]).split()
            here = [place.rsplit(":", 1)[1] for place in found if "kernel.metal:" in place]
            return f"line {here[0]}" if here else match[0]

        return re.sub(r"@([0-9a-f]+)", line, message)


def in_file(text: str, message: str) -> str:
    """The message with the lines of the .metal file, in front of which metal.py has put its defines."""
    ahead = len(re.match(r"(?:#define .*\n)*", text)[0].splitlines())  # type: ignore[index]
    return re.sub(r"\bline (\d+)", lambda line: f"line {int(line[1]) - ahead}", message)


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"{command[0]} failed:\n{done.stderr}")
    return done.stdout


@functools.cache
def missing() -> str | None:
    """Why the engine can't run here, if it can't."""
    absent = [tool for tool in ("g++", "nm", "addr2line") if shutil.which(tool) is None]
    if sys.platform != "linux" or absent:
        return "the engine needs Linux, g++ and binutils"
    version = run(["g++", "-dumpversion"]).strip()
    return f"the engine needs GCC 12 or later, not {version}" if int(version.split(".")[0]) < 12 else None


@functools.cache
def folder() -> tempfile.TemporaryDirectory[str]:
    """Where the session's compiled kernels lie, until it ends."""
    return tempfile.TemporaryDirectory(prefix="metal-engine-")


@functools.cache
def engine_objects() -> list[str]:
    objects = []
    for name in ("engine", "memory"):
        target = Path(folder().name) / f"{name}.o"
        run(["g++", *FLAGS, "-O2", "-c", str(SOURCES / f"{name}.cpp"), "-o", str(target)])
        objects.append(str(target))
    stacks = Path(folder().name) / "stacks.so"
    run(["g++", *FLAGS, "-shared", str(SOURCES / "stacks.cpp"), "-o", str(stacks)])
    return [*objects, str(stacks)]


def opened(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    text, address, size = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
    library.engine_add_buffer.argtypes = [text, address, size, size, address]
    library.engine_add_array.argtypes = [text, size, size]
    library.engine_launch.argtypes = [address, address, address, address, ctypes.c_uint64]
    library.engine_launch.restype = text
    return library


@functools.cache
def compiled(text: str, kernel: str, flags: tuple[str, ...]) -> Path:
    home = Path(folder().name) / hashlib.sha256(repr((text, kernel, flags)).encode()).hexdigest()[:16]
    home.mkdir(exist_ok=True)
    (home / "kernel.metal").write_text(text)
    (home / "kernel.cpp").write_text(f'#include "kernel.metal"\n{entry(text, kernel)}')
    run(["g++", *KERNEL_FLAGS, *flags, "-c", str(home / "kernel.cpp"), "-o", str(home / "kernel.o")])
    library = home / "kernel.so"
    run(["g++", "-shared", str(home / "kernel.o"), *engine_objects(), "-o", str(library)])
    return library


def entry(text: str, kernel: str) -> str:
    """A function that calls the kernel with arguments from an array. The compiler drops the text's other kernels."""
    values = []
    for parameter in signature(text, kernel):
        if not parameter.space:
            values.append(f"engine::{parameter.attribute}()")
            continue
        index = re.fullmatch(r"buffer\((\d+)\)", parameter.attribute)
        if index is None:
            raise BuildError(f"{kernel}: {parameter.name} is in no buffer")
        pointer = f"({'const ' if parameter.is_const else ''}{parameter.type}*)buffers[{index[1]}]"
        values.append(pointer if parameter.reference == "*" else f"*{pointer}")
    limit = re.search(rf"\[\[\s*max_total_threads_per_threadgroup\((.*)\)\s*\]\]\s*kernel\s+void\s+{kernel}\b", text)
    return (
        f'extern "C" void enter(void* const* buffers) {{ {kernel}({", ".join(values)}); }}\n'
        f'extern "C" const unsigned most_threads = {limit[1] if limit else 1024};\n'
    )


@functools.cache
def threadgroup_arrays(library: Path) -> list[Array]:
    """Every array in the section that the word `threadgroup` puts it in; its symbol is kernel(...)::name."""
    arrays = []
    for line in run(["nm", "-C", "-S", "-f", "sysv", str(library)]).splitlines():
        columns = [column.strip() for column in line.split("|")]
        symbol = re.fullmatch(r"\w+\(.*\)::(\w+)", columns[0])
        if symbol and columns[-1] == "threadgroup_memory":
            arrays.append(Array(symbol[1], int(columns[1], 16), int(columns[4], 16)))
    return arrays
