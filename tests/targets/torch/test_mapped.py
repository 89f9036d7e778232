"""Parameters that lie in a checkpoint's file: the same numbers, nothing lost of what is written to them."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from mctc.checkpoint import SafeTensors
from mctc.checkpoint_writer import write_all
from mctc.targets.torch.mapped import SMALL, MappedParameters

torch = pytest.importorskip("torch")

ROWS = 1 + SMALL // 4 // 64
PAGES = SMALL // mmap.PAGESIZE - 1  # whole pages that a tensor of SMALL bytes covers at least


@pytest.fixture
def file(tmp_path: Path) -> SafeTensors:
    """A large and a small tensor of float32, and one of float16."""
    random = np.random.default_rng(3)
    large = random.normal(size=(ROWS, 64)).astype(np.float32)
    half = large.astype(np.float16)
    write_all(tmp_path / "weights.safetensors", {"large": large, "small": large[:2].copy(), "half": half}, {})
    return SafeTensors(tmp_path / "weights.safetensors")


def mapped(file: SafeTensors, name: str = "large") -> tuple[MappedParameters, torch.nn.Linear, bool]:
    layer, found = torch.nn.Linear(64, file.shapes[name][0], bias=False), MappedParameters()
    begin = file.place(name)
    assert begin is not None
    return found, layer, found.take(layer.weight, (file.path, begin))


def resident(layer: torch.nn.Linear) -> int:
    """Pages of the mapping around a parameter that are in memory, as the system tells."""
    address, inside = layer.weight.data_ptr(), False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first and not first.endswith(":"):
            low, high = (int(each, 16) for each in first.split("-"))
            inside = low <= address < high
        elif inside and first == "Rss:":
            return int(line.split()[1]) * 1024 // mmap.PAGESIZE
    return 0


def test_a_mapped_parameter_has_the_numbers_of_the_file(file: SafeTensors) -> None:
    _, layer, taken = mapped(file)
    assert taken
    assert np.array_equal(layer.weight.detach().numpy(), file.read("large"))


def test_small_tensors_are_held_and_others_than_float32_have_no_place(file: SafeTensors) -> None:
    assert not mapped(file, "small")[2]
    assert file.place("half") is None


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the system does not tell of pages")
def test_pages_are_given_back_when_a_module_has_run_and_when_its_gradient_is_whole(file: SafeTensors) -> None:
    found, layer, _ = mapped(file)
    model = torch.nn.Sequential(layer)
    found.watch(model)
    x = torch.ones(3, 64, requires_grad=True)
    wanted = x.detach() @ layer.weight.detach().T
    before = resident(layer)
    result = model(x)
    assert torch.equal(result, wanted)
    assert resident(layer) <= before - PAGES
    layer.weight.register_post_accumulate_grad_hook(found.give_back)
    result.sum().backward()
    assert resident(layer) <= before - PAGES
    torch.testing.assert_close(x.grad[0], torch.from_numpy(file.read("large").sum(0)))


def test_what_is_written_to_a_parameter_of_its_own_stays_and_the_file_is_as_it_was(file: SafeTensors) -> None:
    found, layer, _ = mapped(file)
    before = file.path.read_bytes()
    found.own(layer.weight)
    with torch.no_grad():
        layer.weight.fill_(2.0)
    found.give_back(layer.weight)
    assert bool((layer.weight == 2.0).all())
    assert file.path.read_bytes() == before
