"""The scan as an operation: what autograd, autocast, torch.compile and torch.export see, and what it refuses."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from mctc.targets.torch.runtime import (
    native,
    selective_scan_chunked,
    selective_scan_cpu,
    selective_scan_gpu,
    selective_scan_op,
)
from mctc.targets.torch.runtime.selective_scan import selective_scan
from mctc.targets.torch.runtime.selective_scan_reference import sequential
from tests.targets.torch.selective_scan_cases import (
    OPTIONAL,
    Arguments,
    Case,
    assert_close,
    computed,
    expected,
    operation,
)

NAMES = ("x", "delta", "A", "B", "C", *OPTIONAL)
LONG = ("x", "delta", "B", "C", "z", "h")


def leaves(case: Case) -> Arguments:
    return {name: each.to(case.type_of(name)).requires_grad_() for name, each in case.arguments().items()}


def user_arguments(case: Case) -> Arguments:
    """As the function has them: B and C with groups and states in one axis."""
    given = {name: each.detach() for name, each in leaves(case).items()}
    return given | {name: given[name].flatten(1, 2) for name in ("B", "C")}


@pytest.fixture
def without_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MCTC_NATIVE", "0")
    native.load.cache_clear()
    yield
    native.load.cache_clear()


# Checks of torch's own ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [Case(), Case(options=(), length=70, dtype=torch.bfloat16)])
def test_torch_finds_the_operation_sound(case: Case) -> None:
    given = leaves(case)
    torch.library.opcheck(torch.ops.mctc.selective_scan.default, (*(given.get(name) for name in NAMES), case.softplus))


def test_torch_finds_the_operation_sound_without_a_compiler(without_compiler: None) -> None:
    test_torch_finds_the_operation_sound(Case(length=70))


@pytest.mark.parametrize("options", [(), OPTIONAL])
def test_gradients_in_fp64_are_those_of_finite_differences(options: tuple[str, ...]) -> None:
    case = Case(batch=1, channels=4, length=5, state=2, groups=2, dtype=torch.float64, options=options)
    given = leaves(case)

    def run(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        return operation(dict(zip(given, tensors)), case.softplus)

    def define(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        return sequential(**dict(zip(given, tensors)), softplus=case.softplus)

    assert torch.autograd.gradcheck(run, tuple(given.values()))
    assert torch.autograd.gradcheck(define, tuple(given.values()))


def test_fp64_is_computed_in_fp64() -> None:
    case = Case(dtype=torch.float64, length=100)
    assert_close(case, computed(case), expected(case), tolerance=1e-13)


# Compilers ------------------------------------------------------------------------------------------------------------


class Scan(nn.Module):
    """A module with the parameters of a scan, for a compiler to look at."""

    def __init__(self, channels: int, state: int) -> None:
        super().__init__()
        self.A_log = nn.Parameter(torch.rand(channels, state))
        self.D = nn.Parameter(torch.rand(channels))
        self.delta_bias = nn.Parameter(torch.rand(channels))

    def forward(self, x: Tensor, delta: Tensor, B: Tensor, C: Tensor, z: Tensor) -> Tensor:
        A = -torch.exp(self.A_log)
        y, _ = selective_scan(x, delta, A, B, C, self.D, z, self.delta_bias, softplus=True)
        return y * 2


def module_arguments(length: int) -> tuple[Tensor, ...]:
    given = user_arguments(Case(length=length))
    return tuple(given[name].unsqueeze(2) for name in ("x", "delta", "B", "C", "z"))


def test_compiles_to_one_graph_with_the_same_gradients() -> None:
    module = Scan(6, 3)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    for length in (70, 65):
        inputs = module_arguments(length)
        gradients = []
        for run in (module, compiled):
            module.zero_grad()
            run(*inputs).square().sum().backward()
            gradients.append({name: each.grad for name, each in module.named_parameters()})
        assert torch.equal(compiled(*inputs), module(*inputs))
        for name, eager in gradients[0].items():
            torch.testing.assert_close(gradients[1][name], eager, msg=name)


def exported(module: Scan) -> torch.export.ExportedProgram:
    time = torch.export.Dim("time", min=2, max=4096)
    shapes = {name: {3: time} for name in ("x", "delta", "B", "C", "z")}
    return torch.export.export(module, module_arguments(70), dynamic_shapes=shapes)


def test_exports_to_one_node_for_any_length() -> None:
    module = Scan(6, 3)
    program = exported(module)
    targets = [str(node.target) for node in program.graph.nodes]
    assert targets.count("mctc.selective_scan.default") == 1
    inputs = module_arguments(200)
    assert torch.equal(program.module()(*inputs), module(*inputs))


@pytest.mark.parametrize("module", [selective_scan_chunked, selective_scan_gpu], ids=["chunked", "gpu"])
def test_wherever_it_runs_the_exported_graph_takes_any_length(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selective_scan_op, "backend", lambda x: module)
    (time,) = exported(Scan(6, 3)).range_constraints.values()
    assert (time.lower, time.upper) == (2, 4096)


def test_shapes_are_known_without_computing() -> None:
    given = {name: each.to("meta") for name, each in user_arguments(Case(length=100)).items()}
    y, last = selective_scan(**given, softplus=True)
    assert (y.shape, y.dtype, last.shape) == ((2, 6, 100), torch.float32, (2, 6, 3))


# Autocast -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("native_path", [True, False])
def test_autocast_halves_what_has_a_time_axis_alone(native_path: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not native_path:
        monkeypatch.setattr(selective_scan_op, "backend", lambda x: selective_scan_chunked)
    case = Case(length=40)
    given = leaves(case)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, last = operation(given, case.softplus)
        (y.float().sum() + last.sum()).backward()
    assert (y.dtype, last.dtype) == (torch.bfloat16, torch.float32)
    assert {each.grad.dtype for each in given.values() if each.grad is not None} == {torch.float32}

    # The same as halving by hand; the state and its gradient have seen no other rounding.
    by_hand = {name: each.detach().clone().requires_grad_() for name, each in given.items()}
    halved = {
        name: each.bfloat16() if name in ("x", "delta", "B", "C", "z") else each for name, each in by_hand.items()
    }
    y_by_hand, last_by_hand = operation(halved, case.softplus)
    (y_by_hand.float().sum() + last_by_hand.sum()).backward()
    assert torch.equal(y, y_by_hand)
    assert torch.equal(last, last_by_hand)
    assert [name for name in given if not torch.equal(given[name].grad, by_hand[name].grad)] == []


def test_autocast_and_a_compiled_module_go_together() -> None:
    module, inputs = Scan(6, 3), module_arguments(40)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(compiled(*inputs), module(*inputs))


# Where it runs --------------------------------------------------------------------------------------------------------


def test_without_a_compiler_torch_operations_say_the_same(without_compiler: None) -> None:
    case = Case(length=100, state=16)
    given = leaves(case)
    assert selective_scan_op.backend(given["x"]) is selective_scan_chunked
    assert_close(case, computed(case), expected(case))


def test_with_a_compiler_the_kernel_runs() -> None:
    if not selective_scan_cpu.available():
        pytest.skip("no C++ compiler")
    assert selective_scan_op.backend(torch.zeros(1)) is selective_scan_cpu
    assert selective_scan_op.backend(torch.zeros(1, dtype=torch.float64)) is selective_scan_chunked


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[ModuleType]:
    """The function of a training repository that has copies of the files."""
    package = tmp_path / "copied_training"
    package.mkdir()
    for file in Path(native.__file__).parent.glob("selective_scan*"):
        shutil.copy(file, package)
    shutil.copy(native.__file__, package)
    (package / "__init__.py").write_text("")
    sys.path.insert(0, str(tmp_path))
    try:
        yield importlib.import_module("copied_training.selective_scan")
    finally:
        sys.path.remove(str(tmp_path))
        for name in [name for name in sys.modules if name.startswith("copied_training")]:
            del sys.modules[name]


def test_a_copy_can_be_imported_beside(copied: ModuleType) -> None:
    given = user_arguments(Case())
    assert copied.__file__ != sys.modules[selective_scan.__module__].__file__
    for ours, theirs in zip(selective_scan(**given, softplus=True), copied.selective_scan(**given, softplus=True)):
        assert torch.equal(ours, theirs)


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("x", lambda each: each[0], r"x is \(6, 33\); it must be \(Batch, Channels, L\)"),
        (
            "delta",
            lambda each: each[..., 1:],
            r"delta is \(2, 6, 32\); it must be \(Batch, Channels, L\) = \(2, 6, 33\)",
        ),
        ("A", lambda each: each[:5], r"A is \(5, 3\); it must be \(Channels, N\) = \(6, 1 to 256\)"),
        ("A", lambda each: each.repeat(1, 100), r"B is \(2, 3, 33\); it must be .* with N = 300, the last axis of A"),
        ("B", lambda each: each[:, :2], r"B is \(2, 2, 33\); it must be \(Batch, Groups \* N, L\) with N = 3"),
        ("B", lambda each: each.repeat(1, 4, 1), r"B is \(2, 4, 3, 33\); .* Groups divides the 6 channels"),
        ("C", lambda each: each.repeat(1, 2, 1), r"C is \(2, 2, 3, 33\); it must be .* = \(2, 1, 3, 33\)"),
        ("D", lambda each: each[:, None], r"D is \(6, 1\); it must be \(Channels,\) = \(6,\)"),
        ("h", lambda each: each.mT, r"h is \(2, 3, 6\); it must be \(Batch, Channels, N\) = \(2, 6, 3\)"),
        ("x", lambda each: each.int(), r"x is torch.int32; it must be float32, float16 or bfloat16"),
        ("z", lambda each: each.to("meta"), r"z is on meta; it must be on cpu, as x is"),
        ("x", lambda each: each.unsqueeze(2), r"delta is \(2, 6, 33\); where x has four axes, its third must be"),
    ],
)
def test_what_does_not_fit_is_named(name: str, change, message: str) -> None:
    given = user_arguments(Case())
    given[name] = change(given[name])
    with pytest.raises(ValueError, match=message):
        selective_scan(**given)


@pytest.mark.parametrize("name", ["delta", "D"])
def test_the_operation_itself_refuses_other_types(name: str) -> None:
    given = {each: tensor.detach() for each, tensor in leaves(Case()).items()}
    given[name] = given[name].bfloat16()
    with pytest.raises(
        ValueError, match=rf"{name} is torch.bfloat16; it must be torch.float32 .* convert it with \.to"
    ):
        operation(given, True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_what_does_not_run_over_time_comes_in_any_type_and_is_widened(dtype: torch.dtype) -> None:
    given = {name: each.to(dtype) for name, each in user_arguments(Case()).items()}
    wide = {name: each.float() if name in ("A", "D", "delta_bias", "h") else each for name, each in given.items()}
    for found, wanted in zip(selective_scan(**given, softplus=True), selective_scan(**wide, softplus=True)):
        assert torch.equal(found, wanted)
    assert found.dtype == torch.float32


class Unseen(TorchFunctionMode):
    """Sees every function of torch, and does nothing with it."""

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("axes", [3, 4])
@pytest.mark.parametrize("seen_first", [True, False], ids=["seen first", "seen again"])
def test_a_layer_is_computed_again_whoever_looks_at_one_of_the_two(axes: int, seen_first: bool) -> None:
    given = user_arguments(Case())
    given = {name: each if axes == 3 or name not in LONG else each.unsqueeze(2) for name, each in given.items()}
    x = given.pop("x")
    plain, again = (x.clone().requires_grad_() for _ in range(2))
    selective_scan(plain, **given, softplus=True)[0].square().sum().backward()
    with Unseen() if seen_first else nullcontext():
        y = checkpoint(lambda x: selective_scan(x, **given, softplus=True)[0], again, use_reentrant=False)
    with nullcontext() if seen_first else Unseen():
        y.square().sum().backward()
    assert plain.grad is not None
    assert again.grad is not None
    assert torch.equal(plain.grad, again.grad)


def test_a_second_derivative_is_refused() -> None:
    given = leaves(Case())
    y, _ = operation(given, True)
    (gradient,) = torch.autograd.grad(y.sum(), given["x"], create_graph=True)
    with pytest.raises(RuntimeError, match=r"mctc.*selective_scan_backward|does not require grad"):
        gradient.sum().backward()
