"""Metal text on CUDA: how kernels are declared, called and, where NVRTC is installed, compiled. Needs no GPU."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
import torch

from mctc.targets.torch.runtime import metal
from mctc.targets.torch.runtime.selective_scan_launches import source
from mctc.targets.torch.runtime.selective_scan_plan import CHOICES, Choice

SCALE = """
#include <metal_stdlib>
using namespace metal;
// A kernel void in a comment is none.
kernel void scale(
    device const ELEMENT* x [[buffer(0)]],
    device ELEMENT* y [[buffer(1)]], /* written */
    constant uint& length [[buffer(2)]],
    constant float& factor [[buffer(3)]],
    constant long* offsets [[buffer(4)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint3 position [[thread_position_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]])
{
    threadgroup float tile[64];
    const uint i = group.x * 64 + position.x;
    tile[position.x] = i < length ? float(x[i + offsets[1]]) : 0.0f;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    const float neighbour = simd_shuffle_xor(tile[position.x], 1) + float(lane);
    if (i < length) {
        y[i] = ELEMENT(fma(factor, neighbour, fast::exp2(tile[63 - position.x])));
    }
}
"""
CALL: dict[str, Any] = {"threads": (128, 2, 1), "group_size": (64, 1, 1)}


class Driver:
    """Stands in for CUDA's driver: keeps what a launch passed."""

    def __init__(self) -> None:
        self.grid: list[int] = []
        self.arguments = b""

    def cuLaunchKernel(self, function: object, *rest: Any) -> int:
        *sizes, _shared, _stream, _parameters, extra = rest
        self.grid = list(sizes)
        assert (extra[0], extra[2], extra[4]) == (1, 2, None)
        self.arguments = ctypes.string_at(extra[1], ctypes.c_size_t.from_address(extra[3]).value)
        return 0


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    made = Driver()
    monkeypatch.setattr(metal, "_driver", lambda: made)
    monkeypatch.setattr(metal.CudaKernel, "_function", lambda self, group: ctypes.c_void_p(1))
    monkeypatch.setattr(torch._C, "_cuda_getDevice", lambda: 0, raising=False)
    monkeypatch.setattr(torch._C, "_cuda_getCurrentRawStream", lambda index: 0, raising=False)
    return made


def test_a_signature_is_read_from_the_text() -> None:
    parameters = metal.signature(SCALE, "scale")
    assert [parameter.name for parameter in parameters] == [
        "x", "y", "length", "factor", "offsets", "group", "position", "lane",
    ]  # fmt: skip
    assert [(each.space, each.type, each.reference, each.is_const) for each in parameters[:5]] == [
        ("device", "ELEMENT", "*", True),
        ("device", "ELEMENT", "*", False),
        ("constant", "uint", "&", True),
        ("constant", "float", "&", True),
        ("constant", "long", "*", True),
    ]
    assert parameters[7] == metal.Parameter("", "uint", "", "lane", "thread_index_in_simdgroup", False)
    assert metal.kernel_names(SCALE) == ["scale"]


def test_a_kernel_that_is_not_there_is_named_beside_those_that_are() -> None:
    with pytest.raises(AttributeError, match="no kernel shrink, only scale"):
        metal.signature(SCALE, "shrink")


def test_a_parameter_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot read the parameter 'texture2d<float> image'"):
        metal.signature("kernel void draw(texture2d<float> image) {}", "draw")


def test_arguments_lie_as_c_lays_them_out(driver: Driver) -> None:
    x, y = torch.zeros(4), torch.zeros(8)[4:]
    metal.CudaKernel(SCALE, "scale", 0)(x, y, 7, 0.5, [3, -1], **CALL)

    class Arguments(ctypes.Structure):
        _fields_ = (
            ("x", ctypes.c_void_p),
            ("y", ctypes.c_void_p),
            ("length", ctypes.c_uint),
            ("factor", ctypes.c_float),
            ("offsets", ctypes.c_longlong * 32),
        )

    assert len(driver.arguments) == ctypes.sizeof(Arguments)
    given = Arguments.from_buffer_copy(driver.arguments)
    assert (given.x, given.y, given.length, given.factor) == (x.data_ptr(), y.data_ptr(), 7, 0.5)
    assert list(given.offsets) == [3, -1, *[0] * 30]
    assert driver.grid == [2, 2, 1, 64, 1, 1, 0][:6]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({0: 3}, "x takes a tensor, not int"),
        ({2: torch.zeros(1)}, "length takes a number, not Tensor"),
        ({2: -1}, "wrong type or too large"),
        ({4: 3}, "offsets takes a list of at most 32 numbers, not int"),
        ({4: [0] * 33}, "offsets takes a list of at most 32 numbers, not list"),
    ],
)
def test_a_wrong_argument_is_named(driver: Driver, changed: dict[int, object], message: str) -> None:
    arguments: list[object] = [torch.zeros(4), torch.zeros(4), 4, 0.5, [0, 0]]
    for place, value in changed.items():
        arguments[place] = value
    with pytest.raises(TypeError, match=message):
        metal.CudaKernel(SCALE, "scale", 0)(*arguments, **CALL)


def test_a_missing_argument_is_refused(driver: Driver) -> None:
    with pytest.raises(TypeError, match=r"takes 5 arguments \(x, y, length, factor, offsets\), not 1"):
        metal.CudaKernel(SCALE, "scale", 0)(torch.zeros(4), **CALL)


def test_ragged_groups_are_refused(driver: Driver) -> None:
    with pytest.raises(ValueError, match="not a multiple of the group size"):
        metal.CudaKernel(SCALE, "scale", 0)(
            torch.zeros(4), torch.zeros(4), 4, 0.5, [0, 0], threads=(100, 1, 1), group_size=(64, 1, 1)
        )


def test_on_mps_the_text_goes_to_torch_with_its_defines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.mps, "compile_shader", lambda text: f"library of {text}")
    library: object = metal.load(torch.device("mps"), SCALE, {"ELEMENT": "half", "A": 1})
    assert library == "library of #define A 1\n#define ELEMENT half\n" + SCALE


def test_text_that_is_not_ascii_is_refused() -> None:
    with pytest.raises(ValueError, match="ASCII"):
        metal.load(torch.device("mps"), "// \N{EN DASH}", {})


def test_a_cpu_runs_no_metal() -> None:
    with pytest.raises(ValueError, match="not on cpu"):
        metal.load(torch.device("cpu"), SCALE, {"ELEMENT": "float"})


def compiled(text: str, kernel: str, group: int) -> bytes:
    try:
        return metal.compile_for_cuda(text, kernel, group, (9, 0))
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("element", ["float", "half", "bfloat"])
def test_the_header_compiles_for_each_element(element: str) -> None:
    assert b"cuda_scale" in compiled(f"#define ELEMENT {element}\n{SCALE}", "scale", 64)


def test_an_error_of_the_compiler_names_kernel_and_line() -> None:
    with pytest.raises(SyntaxError, match=r"(?s)kernel scale.*scale.metal\(\d+\).*neighbor"):
        compiled("#define ELEMENT float\n" + SCALE.replace("neighbour,", "neighbor,"), "scale", 64)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: str(choice.state))
@pytest.mark.parametrize("kernel", ["selective_scan_forward", "selective_scan_backward"])
def test_the_scan_compiles_for_cuda(choice: Choice, kernel: str) -> None:
    mapping = choice.forward if kernel.endswith("forward") else choice.backward
    flags = dict.fromkeys(("HAS_D", "HAS_Z", "HAS_BIAS", "HAS_H", "HAS_DH", "SOFTPLUS", "REVERSED"), 1)
    sizes = {"LANES": mapping.lanes, "HELD": mapping.held, "STEPS": mapping.steps, "SIMDGROUPS": mapping.simdgroups}
    defines = {**flags, **sizes, "STATES": choice.state, "INTERVAL": choice.interval, "ELEMENT": "bfloat"}
    text = "".join(f"#define {name} {value}\n" for name, value in defines.items())
    assert compiled(text + source("selective_scan.metal"), kernel, mapping.threads)
