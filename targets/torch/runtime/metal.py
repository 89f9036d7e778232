"""Metal kernels, on the GPU they were written for and on NVIDIA's.

`load` compiles the text of a `.metal` file: for MPS with `torch.mps.compile_shader`, for CUDA with NVRTC. On CUDA the
header `metal_cuda.h` stands in for Metal's standard library, and each kernel gets a `__global__` function that only
forwards its arguments. The text itself is the same on both, and so are the calls:

    library = load(x.device, Path("scale.metal").read_text(), {"ELEMENT": "float"})
    library.scale(x, y, 2.0, [rows, columns], threads=(1024, 1, 1), group_size=(256, 1, 1))

What a kernel can take (the rules of torch.mps, written as the kernel declares them):

    device T*       a tensor: its data pointer, storage offset applied; strides are not passed
    constant T&     an int or a float, converted to T
    constant long*  a list of ints, at most 32;  constant float*: a list of floats

`threads` counts threads, not groups, and has to be a multiple of `group_size`: a ragged last group would break the
barriers and the SIMD functions of the kernels here.
"""

from __future__ import annotations

import ctypes
import functools
import re
import struct
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch

Size = tuple[int, int, int]


class Kernel(Protocol):
    """A compiled kernel: starts it on the current stream of the tensors' device, without waiting for it."""

    def __call__(self, *args: object, threads: Size, group_size: Size) -> None: ...


class Library(Protocol):
    """What `load` returns: every kernel of the source as an attribute."""

    def __getattr__(self, name: str, /) -> Kernel: ...


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel, as its source declares it."""

    space: str
    """`device`, `constant`, or empty for a value that Metal provides, such as the thread's position."""
    type: str
    """The element type, `float` for a `device const float*`."""
    reference: str
    """`*`, `&` or empty."""
    name: str
    attribute: str
    """What the double brackets hold: `buffer(3)`, `thread_position_in_threadgroup`."""
    is_const: bool


def load(device: torch.device, source: str, defines: Mapping[str, int | str]) -> Library:
    """The kernels of a Metal source text, with each of `defines` set as by #define; compiled once a process.

    On CUDA each kernel is compiled at its first use. Raises ValueError for text that is not ASCII (torch.mps reads it
    as ASCII) or a device that is neither MPS nor CUDA, RuntimeError where a library that compiles it is missing, and
    SyntaxError with the compiler's message for text that does not compile.
    """
    index = torch.cuda.current_device() if device.type == "cuda" and device.index is None else device.index
    return _load(device.type, index, source, tuple(sorted(defines.items())))


@functools.cache
def _load(device_type: str, index: int | None, source: str, defines: tuple[tuple[str, int | str], ...]) -> Library:
    if not source.isascii():
        raise ValueError(
            "a Metal source has to be pure ASCII: look for dashes, quotes and Greek letters in its comments"
        )
    text = "".join(f"#define {name} {value}\n" for name, value in defines) + source
    if device_type == "mps":
        return cast(Library, torch.mps.compile_shader(text))
    if device_type == "cuda" and index is not None:
        return CudaLibrary(text, index)
    raise ValueError(f"Metal kernels run on mps and cuda devices, not on {device_type}")


_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_PARAMETER = re.compile(
    r"(?P<space>device|constant)?\s*(?P<const>const\s+)?(?P<type>\w+)\s*(?P<reference>[*&])?\s*(?P<name>\w+)\s*\[\[\s*"
    r"(?P<attribute>[\w()]+)\s*\]\]"
)


def kernel_names(source: str) -> list[str]:
    """The names of the kernels of a Metal source, in its order."""
    return re.findall(r"\bkernel\s+void\s+(\w+)\s*\(", _COMMENT.sub(" ", source))


def signature(source: str, kernel: str) -> list[Parameter]:
    """The parameters of a kernel, read from its source. Raises AttributeError where the source has no such kernel, and
    ValueError for a parameter that is not a `device` or `constant` buffer or an attribute."""
    text = _COMMENT.sub(" ", source)
    start = re.search(rf"\bkernel\s+void\s+{kernel}\s*\(", text)
    if start is None:
        raise AttributeError(f"the Metal source has no kernel {kernel}, only {', '.join(kernel_names(source))}")
    depth, end = 1, start.end()
    while depth:
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    parameters = []
    for declaration in text[start.end() : end - 1].split(","):
        match = _PARAMETER.fullmatch(declaration.strip())
        if match is None:
            raise ValueError(f"kernel {kernel}: cannot read the parameter {' '.join(declaration.split())!r}")
        is_const = match["const"] is not None or match["space"] == "constant"
        parameters.append(
            Parameter(
                match["space"] or "",
                match["type"],
                match["reference"] or "",
                match["name"],
                match["attribute"],
                is_const,
            )
        )
    return parameters


# What Metal hands a kernel through an attribute, as CUDA spells it. A group's x size is a multiple of the SIMD width.
_BUILTINS = {
    "thread_position_in_threadgroup": "threadIdx",
    "threadgroup_position_in_grid": "blockIdx",
    "threads_per_threadgroup": "blockDim",
    "threadgroups_per_grid": "gridDim",
}
_BUILTIN_SCALARS = {
    "thread_index_in_threadgroup": "threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)",
    "thread_index_in_simdgroup": "threadIdx.x & 31",
    "simdgroup_index_in_threadgroup": "threadIdx.x >> 5",
}
_LIST_LENGTH = 32
_REMEMBERED = 1024  # launches of a kernel: batches of utterances come in many lengths
_ZEROS = (0,) * _LIST_LENGTH
# C types of constant parameters and their letters in `struct`, whose native sizes and alignment are NVRTC's.
_SCALARS = {"int": "i", "uint": "I", "long": "q", "ulong": "Q", "float": "f"}
_VALUE_LIST = f"template <typename T> struct ValueList {{ T values[{_LIST_LENGTH}]; }};\n"


def _forwarding(kernel: str, parameters: Sequence[Parameter], group: int, resident: int) -> str:
    """The __global__ function that calls a kernel's body: buffers by pointer, constants by value."""
    taken, passed = [], []
    for parameter in parameters:
        name, type_, attribute = parameter.name, parameter.type, parameter.attribute
        if parameter.space == "device":
            taken.append(f"{'const ' if parameter.is_const else ''}{type_}* {name}")
            passed.append(name)
        elif parameter.space == "constant":
            is_list = parameter.reference == "*"
            taken.append(f"{f'ValueList<{type_}>' if is_list else type_} {name}")
            passed.append(f"{name}.values" if is_list else name)
        elif attribute in _BUILTIN_SCALARS:
            passed.append(_BUILTIN_SCALARS[attribute])
        elif attribute in _BUILTINS:
            builtin = _BUILTINS[attribute]
            passed.append(f"uint3{{{builtin}.x, {builtin}.y, {builtin}.z}}" if type_ == "uint3" else f"{builtin}.x")
        else:
            raise ValueError(f"kernel {kernel}: metal.py has no CUDA spelling of [[{attribute}]]")
    # Two groups of 256 on a multiprocessor leave a thread 128 registers, about as many as an Apple GPU's thread has.
    head = f'extern "C" __global__ void __launch_bounds__({group}, {max(1, resident // group)}) cuda_{kernel}'
    return f"{_VALUE_LIST}{head}({', '.join(taken)}) {{ {kernel}({', '.join(passed)}); }}\n"


class CudaLibrary:
    """The kernels of a Metal text on one CUDA device."""

    def __init__(self, text: str, index: int) -> None:
        self._text = text
        self._index = index

    def __getattr__(self, name: str) -> Kernel:
        if name.startswith("_"):
            raise AttributeError(name)
        kernel = CudaKernel(self._text, name, self._index)
        setattr(self, name, kernel)
        return kernel


@dataclass(frozen=True)
class _Launch:
    """A launch whose constants, grid and groups are known: what is left is to fill in where the tensors lie."""

    function: ctypes.c_void_p
    sizes: tuple[int, ...]
    """Of the grid in groups, then of a group, then of the dynamic threadgroup memory."""
    memory: ctypes.Array[ctypes.c_char]
    """All arguments, those in device memory first."""
    bytes: ctypes.c_size_t
    extra: ctypes.Array[ctypes.c_void_p]
    """CU_LAUNCH_PARAM_BUFFER_POINTER, _SIZE and _END of cuda.h: all arguments in one block of memory."""


class _OfThread(threading.local):
    """Launches that this thread has made: another thread's would have their memory overwritten while they start."""

    def __init__(self) -> None:
        self.launches: dict[tuple[object, ...], _Launch] = {}


class CudaKernel:
    """A kernel of a Metal text on one CUDA device, compiled for the group size of its first launch.

    A launch with constants in tuples is remembered: the next with the same costs the host little more than the driver.
    """

    def __init__(self, text: str, name: str, index: int) -> None:
        self.name = name
        self._text = text
        self._index = index
        self._parameters = [parameter for parameter in signature(text, name) if parameter.space]
        spaces = [parameter.space for parameter in self._parameters]
        self._tensors = spaces.count("device")
        if "device" in spaces[self._tensors :]:
            raise ValueError(f"kernel {name}: buffers in device memory come before constants")
        self._pointers = struct.Struct(f"@{self._tensors}P")
        self._constants = struct.Struct(
            "@" + "".join(_layout(name, each) for each in self._parameters[self._tensors :])
        )
        self._functions: dict[int, ctypes.c_void_p] = {}
        self._here = _OfThread()

    def __call__(self, *args: Any, threads: Size, group_size: Size) -> None:
        constants = args[self._tensors :]
        try:
            launch = self._here.launches.get((constants, threads, group_size))
        except TypeError:  # lists among them
            launch = None
        if launch is None:
            launch = self._prepared(args, threads, group_size)
        try:
            self._pointers.pack_into(launch.memory, 0, *[tensor.data_ptr() for tensor in args[: self._tensors]])
        except (AttributeError, TypeError, struct.error):
            raise TypeError(self._refusal(args)) from None
        if torch._C._cuda_getDevice() == self._index:
            launched = self._start(launch)
        else:
            with torch.cuda.device(self._index):
                launched = self._start(launch)
        if launched:
            _check(launched, f"launch {self.name}")

    def _start(self, launch: _Launch) -> int:
        stream = torch._C._cuda_getCurrentRawStream(self._index)
        code: int = _driver().cuLaunchKernel(launch.function, *launch.sizes, stream, None, launch.extra)
        return code

    def _prepared(self, args: Sequence[Any], threads: Size, group_size: Size) -> _Launch:
        if len(args) != len(self._parameters):
            expected = ", ".join(parameter.name for parameter in self._parameters)
            raise TypeError(f"kernel {self.name} takes {len(self._parameters)} arguments ({expected}), not {len(args)}")
        if any(total % size for total, size in zip(threads, group_size)):
            raise ValueError(f"kernel {self.name}: threads {threads} is not a multiple of the group size {group_size}")
        groups = [total // size for total, size in zip(threads, group_size)]
        numbers: list[Any] = []
        for argument, parameter in zip(args[self._tensors :], self._parameters[self._tensors :]):
            if parameter.reference != "*":
                numbers.append(argument)
            elif isinstance(argument, list | tuple):
                numbers += [*argument, *_ZEROS[len(argument) :]]
        size = ctypes.c_size_t(self._pointers.size + self._constants.size)
        memory = ctypes.create_string_buffer(size.value)
        try:
            self._constants.pack_into(memory, self._pointers.size, *numbers)
        except (TypeError, struct.error):
            raise TypeError(self._refusal(args)) from None
        extra = (ctypes.c_void_p * 5)(1, ctypes.addressof(memory), 2, ctypes.addressof(size), 0)
        function = self._function(group_size[0] * group_size[1] * group_size[2])
        launch = _Launch(function, (*groups, *group_size, 0), memory, size, extra)
        if all(isinstance(argument, int | float | tuple) for argument in args[self._tensors :]):
            launches = self._here.launches
            if len(launches) >= _REMEMBERED:
                launches.clear()
            launches[args[self._tensors :], threads, group_size] = launch
        return launch

    def _refusal(self, args: Sequence[object]) -> str:
        """Which argument is not what its parameter takes."""
        for argument, parameter in zip(args, self._parameters):
            wanted, right = "a number", isinstance(argument, int | float)
            if parameter.space == "device":
                wanted, right = "a tensor", isinstance(argument, torch.Tensor)
            elif parameter.reference == "*":
                wanted = f"a list of at most {_LIST_LENGTH} numbers"
                right = isinstance(argument, list | tuple) and len(argument) <= _LIST_LENGTH
            if not right:
                return f"kernel {self.name}: {parameter.name} takes {wanted}, not {type(argument).__name__}"
        return f"kernel {self.name}: a number is of the wrong type or too large for its parameter"

    def _function(self, group: int) -> ctypes.c_void_p:
        """The loaded function for groups of that many threads, which bounds the registers of a thread."""
        function = self._functions.get(group)
        if function is None:
            with torch.cuda.device(self._index):
                torch.cuda.synchronize()  # makes the device's context current in this thread
                cubin = compile_for_cuda(self._text, self.name, group, torch.cuda.get_device_capability(self._index))
                module, function = ctypes.c_void_p(), ctypes.c_void_p()
                _check(_driver().cuModuleLoadData(ctypes.byref(module), cubin), f"load {self.name}")
                symbol = f"cuda_{self.name}".encode()
                _check(_driver().cuModuleGetFunction(ctypes.byref(function), module, symbol), f"find {self.name}")
            self._functions[group] = function
        return function


def _layout(kernel: str, parameter: Parameter) -> str:
    if parameter.space == "device":
        return "P"
    if parameter.type not in _SCALARS:
        raise ValueError(f"kernel {kernel}: a constant is one of {', '.join(_SCALARS)}, not {parameter.type}")
    return f"{_LIST_LENGTH if parameter.reference == '*' else ''}{_SCALARS[parameter.type]}"


def compile_for_cuda(text: str, kernel: str, group: int, capability: tuple[int, int]) -> bytes:
    """The machine code (cubin) of one kernel of a Metal text, for groups of that many threads and a GPU of that compute
    capability. Needs no GPU. Raises SyntaxError with the compiler's message, RuntimeError where NVRTC is not found."""
    nvrtc = _nvrtc()
    header = (Path(__file__).parent / "metal_cuda.h").read_bytes()
    resident = int((re.findall(r"^#define RESIDENT (\d+)$", text, re.M) or ["512"])[0])
    whole = f'#line 1 "{kernel}.metal"\n{text}\n{_forwarding(kernel, signature(text, kernel), group, resident)}'
    program = ctypes.c_void_p()
    headers, names = (ctypes.c_char_p * 1)(header), (ctypes.c_char_p * 1)(b"metal_stdlib")
    _check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), whole.encode(), None, 1, headers, names), "create a program")
    architecture = f"--gpu-architecture=sm_{capability[0]}{capability[1]}"
    # Warning 1097 is about Metal's attributes, which C++ lets a compiler ignore.
    options = [architecture, "--device-as-default-execution-space", "--std=c++17", "--diag-suppress=1097"]
    failed = nvrtc.nvrtcCompileProgram(
        program, len(options), (ctypes.c_char_p * len(options))(*map(str.encode, options))
    )
    try:
        if failed:
            log = _read(nvrtc, program, "ProgramLog").rstrip(b"\0").decode()
            raise SyntaxError(f"the kernel {kernel} does not compile for CUDA:\n{log}")
        return _read(nvrtc, program, "CUBIN")
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _read(nvrtc: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _check(getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)), f"measure the {what}")
    buffer = ctypes.create_string_buffer(size.value)
    _check(getattr(nvrtc, f"nvrtcGet{what}")(program, buffer), f"read the {what}")
    return buffer.raw


def _check(code: int, action: str) -> None:
    if code:
        raise RuntimeError(f"could not {action} on CUDA: error {code} (CUresult or nvrtcResult)")


@functools.cache
def _driver() -> ctypes.CDLL:
    driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    pointer = ctypes.c_void_p
    driver.cuLaunchKernel.argtypes = [pointer, *[ctypes.c_uint] * 7, pointer, pointer, pointer]
    return driver


@functools.cache
def _nvrtc() -> ctypes.CDLL:
    """NVRTC, which torch's CUDA builds bring along as a wheel beside torch, or from the library path."""
    major = (torch.version.cuda or "13").split(".")[0]
    for library in sorted(Path(torch.__file__).parents[1].glob(f"nvidia/**/libnvrtc.so.{major}*")):
        for builtins in library.parent.glob(f"libnvrtc-builtins.so.{major}*"):
            ctypes.CDLL(str(builtins))  # NVRTC opens it by name, which finds a library that is loaded already
        return ctypes.CDLL(str(library))
    try:
        return ctypes.CDLL(f"nvrtc64_{major}0_0.dll" if sys.platform == "win32" else f"libnvrtc.so.{major}")
    except OSError:
        raise RuntimeError(
            f"no NVRTC {major} beside torch or on the library path: pip install nvidia-cuda-nvrtc"
        ) from None
