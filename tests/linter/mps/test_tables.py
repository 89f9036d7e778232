"""The rules' tables of torch's functions, held against torch itself."""

from __future__ import annotations

import warnings
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from mctc.linter.mps.rules.complexes import UNSUPPORTED
from mctc.linter.mps.rules.device import RAISES, WITHOUT_EFFECT
from mctc.linter.mps.rules.missing_kernels import WITHOUT_KERNEL
from mctc.linter.mps.rules.optimizers import SINCE, WITHOUT
from mctc.linter.mps.tensors import CREATION

torch = pytest.importorskip("torch")
without_cuda = pytest.mark.skipif(torch.version.cuda is not None, reason="what a build of torch without CUDA does")
ARGUMENTS = {"set_device": (0,), "set_per_process_memory_fraction": (0.5,), "nvtx.range_push": ("step",)}
ARGUMENTS |= {"FloatTensor": (1,), "HalfTensor": (1,), "LongTensor": (1,)}


def find(name: str) -> Any:
    return reduce(getattr, name.split("."), torch)


@without_cuda
@pytest.mark.parametrize("name", sorted(RAISES))
def test_what_mps003_names_raises(name: str) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - of many kinds
        find(f"cuda.{name}")(*ARGUMENTS.get(name, ()))


@without_cuda
@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_what_mps004_names_returns_nothing_that_says_anything(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not find(f"cuda.{name}")()


@pytest.mark.skipif(not torch.__version__.startswith("2.13."), reason="the table is that of torch 2.13")
def test_what_mps060_names_has_no_kernel_for_mps() -> None:
    yaml = pytest.importorskip("yaml")
    import torchgen

    text = (Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml").read_text()
    operators = {entry["func"].split("(")[0]: entry for entry in yaml.load(text, yaml.CSafeLoader)}
    for called, operator in WITHOUT_KERNEL.items():
        assert callable(find(called.removeprefix("torch.")))
        entry = operators.get(operator) or operators[f"{operator}.a"]
        entry = operators[entry["structured_delegate"]] if "structured_delegate" in entry else entry
        backends = {each.strip() for key in entry["dispatch"] for each in key.split(",")}
        assert {"CPU", "CUDA"} <= backends, called
        assert "MPS" not in backends, called
        assert not any(each.startswith("Composite") for each in backends), called


@pytest.mark.skipif(not torch.__version__.startswith("2.13."), reason="the table is that of torch 2.13")
def test_what_mps068_names_is_not_among_what_torch_tests_for_complex_tensors() -> None:
    text = (Path(torch.__file__).parent / "testing/_internal/common_mps.py").read_text(encoding="utf-8")
    supported = text[text.index("SUPPORTED_COMPLEX_OPS = {") : text.index("MACOS_BEFORE_14_4_XFAILLIST")]
    assert '"linalg.svd",' in supported
    for name in UNSUPPORTED:
        assert f'"{name}",' not in supported
        assert callable(find(name))


def test_fused_kernels_of_mps_are_those_that_torch_dispatches() -> None:
    import torchgen

    text = (Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml").read_text()
    for name in (*SINCE, WITHOUT):
        entry = text[text.index(f"- func: _fused_{name.lower()}_(") :]
        assert ("MPS:" in entry[: entry.index("- func:", 1)]) is (name in SINCE)


@pytest.mark.parametrize("name", sorted(CREATION))
def test_functions_that_make_tensors_exist(name: str) -> None:
    assert callable(find(name.removeprefix("torch.")))
