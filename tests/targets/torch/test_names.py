"""Names of a spec that torch modules have for themselves, and models of every kind that have a loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from mctc.ir.program import Parameter, Program, Source
from mctc.ir.text import parse_program
from mctc.ir.types import DType, plain
from mctc.targets.torch.module import write_module
from mctc.targets.torch.reserved import OF_BLOCKS, is_reserved, refused_names
from mctc.targets.torch.runtime.layers import Block

from .made import Made, make_spec

MODEL = """
import "lib/rnn.mct"

model named(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(x: f32[B, T, 8]) -> f32[B, T, V] { BODY }
    dim V: vocabulary = 64
    train { objective = ctc(blank = 0) }
    stream { chunk = 8 frames }
}
"""


CONSTANT = """program @p {
    dim B: batch dim T: time @ 100
    instance @f.table: linear
    function @f(%x: f32[batch B, time T, channel 2]) {
        %0 = constant [1.0, 2.0]: f32[2]
        %1 = mul(%x, %0)
        return y = %1
    }
}"""


SCALAR = plain(DType.F32, 1)


def made(body: str, folder: Path) -> Made:
    (folder / "named.mct").write_text(MODEL.replace("BODY", body))
    return make_spec(folder / "named.mct", folder)


def _of_torch(name: str) -> bool:
    """Whether torch itself defines it: other libraries hang methods of their own on every module."""
    return str(getattr(getattr(nn.Module, name, None), "__module__", "torch")).startswith("torch")


def test_every_name_of_a_module_is_known() -> None:
    every = {name for name in dir(nn.Module()) if not name.startswith("__") and _of_torch(name)}
    assert all(map(is_reserved, every)), sorted(name for name in every if not is_reserved(name))
    blocks = {name for name in dir(Block()) if not name.startswith("_")}.difference(dir(nn.Module()))
    assert blocks <= OF_BLOCKS, sorted(blocks - OF_BLOCKS)


@pytest.mark.parametrize("name", ["forward", "train", "stored", "run", "kind", "class", "_modules", "__init__"])
@pytest.mark.parametrize("place", ["encoder", "encoder.{}", "encoder.layers.0.{}.inner"])
def test_an_instance_cannot_hide_what_a_module_has(place: str, name: str) -> None:
    path = name if place == "encoder" else place.format(name)
    program = Program("p", parameters={f"{path}.w": Parameter(f"{path}.w", SCALAR, Source(f"{path}.w", SCALAR))})
    (refusal,) = refused_names(program)
    assert f"`{name}`" in refusal.message
    assert refusal.message.startswith(f"`{path.removesuffix('.inner')}`: ")


@pytest.mark.parametrize(
    "body",
    [
        "return linear(conv1d(x, 8, 3) as conv, V) as out",
        "return linear(lstm_stack(x, 8) as stack, V) as out",
        "return linear(bilstm(x, 8) as both, V) as out",
        "return linear(conv1d(x, 8, 5, look_ahead = 2) as conv, V) as out",
        "return linear(batch_norm(x) as norm, V) as out",
    ],
    ids=["causal", "recurrent", "both ways", "looking ahead", "statistics of the batch"],
)
def test_every_encoder_has_its_loss_and_keeps_utterances_apart(body: str, tmp_path: Path) -> None:
    model = made(body, tmp_path).model
    mel, lengths = torch.randn(2, 24, 8), torch.tensor([24, 15])
    targets, counts = torch.randint(1, 64, (2, 3)), torch.tensor([3, 2])
    together = model(mel, lengths, targets, counts)
    alone = [
        model(mel[i : i + 1, :n], torch.tensor([n]), targets[i : i + 1], counts[i : i + 1])
        for i, n in ((0, 24), (1, 15))
    ]
    torch.testing.assert_close(together, torch.stack(alone).mean(), rtol=1e-4, atol=1e-4)
    together.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "buffer"), [("window", "window"), ("table", "table_constant"), ("half", "half_constant")]
)
def test_a_constant_gives_way_to_an_instance_and_to_what_a_module_has(name: str, buffer: str) -> None:
    program = parse_program(CONSTANT)
    program.functions["f"].ops[0].result.name = name
    text = write_module(program, {}, "a.mct").text
    assert f'self.register_buffer("{buffer}", torch.tensor([1.0, 2.0]), persistent=False)' in text
    assert f"x * self.{buffer}" in text
