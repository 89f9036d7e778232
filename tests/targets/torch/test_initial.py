"""Initial values: the rules against mctc.initializers, their text, and what passes make of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mctc.initializers import INITIALIZERS, initialise
from mctc.ir.program import Derived, Initializer, Recipe, Source
from mctc.ir.types import DType, plain
from mctc.language import elaborate_file
from mctc.plugins import registry
from mctc.rewrite.base import Context
from mctc.rewrite.pipeline import run_stage
from mctc.targets.torch.initial_text import initial_text, rule_text
from mctc.targets.torch.runtime import initial

from .made import make_spec

RULES = {name: getattr(initial, name) for name in (*INITIALIZERS, "padded")}
EXAMPLES = {
    "zeros": Initializer("zeros"),
    "ones": Initializer("ones"),
    "constant": Initializer("constant", (("value", 0.25),)),
    "uniform": Initializer("uniform", (("bound", 0.25),)),
    "normal": Initializer("normal", (("std", 0.5),)),
    "kaiming_uniform": Initializer("kaiming_uniform", (("fan_in", 72.0),)),
    "truncated_normal": Initializer("truncated_normal", (("cut", 1.5), ("std", 0.02))),
    "kaiming_normal": Initializer("kaiming_normal", (("fan_in", 64.0),)),
    "xavier_uniform": Initializer("xavier_uniform", (("fan_in", 64.0), ("fan_out", 512.0))),
    "xavier_normal": Initializer("xavier_normal", (("fan_in", 64.0), ("fan_out", 512.0), ("gain", 0.5))),
    "orthogonal": Initializer("orthogonal", (("gain", 2.0), ("parts", 4.0))),
    "log_arange": Initializer("log_arange"),
    "delta_bias": Initializer("delta_bias", (("high", 0.1), ("low", 0.001))),
}
TEXTS = {
    "constant": "constant(0.25)",
    "uniform": "uniform(0.25)",
    "normal": "normal(std=0.5)",
    "kaiming_uniform": "kaiming_uniform(fan_in=72)",
    "truncated_normal": "truncated_normal(cut=1.5, std=0.02)",
    "xavier_normal": "xavier_normal(fan_in=64, fan_out=512, gain=0.5)",
    "orthogonal": "orthogonal(gain=2, parts=4)",
    "log_arange": "log_arange()",
    "delta_bias": "delta_bias(high=0.1, low=0.001)",
}


def filled(text: str, *shape: int) -> Tensor:
    torch.manual_seed(0)
    tensor = torch.full(shape, math.nan)
    eval(text, dict(RULES))(tensor)
    return tensor


@pytest.mark.parametrize("name", INITIALIZERS)
def test_a_rule_draws_from_the_distribution_of_its_numpy_twin(name: str) -> None:
    rule = EXAMPLES[name]
    mine = np.sort(filled(rule_text(rule), 512, 64).numpy(), axis=None)
    theirs = np.sort(initialise("w", plain(DType.F32, 512, 64), rule, 0), axis=None)
    width = max(float(np.ptp(theirs)), 1.0)
    quantiles = np.linspace(0.005, 0.995, 100)
    np.testing.assert_allclose(np.quantile(mine, quantiles), np.quantile(theirs, quantiles), atol=0.02 * width)
    drawn = len(np.unique(theirs)) > 1000
    assert len(np.unique(mine)) > 1000 if drawn else np.allclose(mine, theirs, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("name", "text"), TEXTS.items())
def test_a_rule_reads_as_it_is_called(name: str, text: str) -> None:
    assert rule_text(EXAMPLES[name]) == text
    assert type(eval(text, dict(RULES))).__name__ == name


def test_a_rule_shows_its_numbers() -> None:
    assert repr(initial.padded(initial.uniform(0.5), axis=0, after=23)) == (
        "padded(rule=uniform(bound=0.5), axis=0, after=23, value=0.0)"
    )


@pytest.mark.parametrize("shape", [(12, 5), (12, 3, 1, 1), (8, 16)])
def test_orthogonal_blocks_have_orthonormal_rows_or_columns(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    arguments = {"gain": 2.0, "parts": 4.0}
    for made in (
        filled("orthogonal(gain=2, parts=4)", *shape).numpy(),
        INITIALIZERS["orthogonal"](rng, shape, arguments),
    ):
        assert made.shape == shape
        blocks = np.asarray(made, np.float64).reshape(4, shape[0] // 4, -1)
        for block in blocks:
            short = block if block.shape[0] <= block.shape[1] else block.T
            np.testing.assert_allclose(short @ short.T, 4 * np.eye(len(short)), atol=1e-5)
        assert not np.allclose(blocks[0], blocks[1])


def test_a_truncated_normal_ends_where_it_is_cut() -> None:
    made = filled("truncated_normal(std=0.5, cut=1.5)", 200, 100)
    assert made.abs().max() <= 0.75
    assert made.abs().max() > 0.7


def test_log_arange_is_the_same_in_every_row() -> None:
    torch.testing.assert_close(filled("log_arange()", 3, 4), torch.log(torch.tensor([[1.0, 2, 3, 4]] * 3)))


def test_delta_bias_gives_step_sizes_between_its_bounds() -> None:
    steps = torch.nn.functional.softplus(filled("delta_bias(low=0.001, high=0.1)", 10000))
    assert 0.00099 < steps.min() < 0.0012
    assert 0.08 < steps.max() < 0.1001
    assert abs(float(steps.log().mean()) - math.log(0.01)) < 0.05


def test_what_no_token_has_is_padding() -> None:
    tensor = filled("padded(uniform(0.5), axis=0, after=3, value=-10000.0)", 8, 4)
    assert (tensor[5:] == -10000).all()
    assert tensor[:5].abs().max() <= 0.5
    assert tensor[:5].unique().numel() == 20


def test_rules_leave_gradients_alone_and_keep_a_tensors_type() -> None:
    for name, rule in EXAMPLES.items():
        parameter = torch.nn.Parameter(torch.empty(4, 4, dtype=torch.bfloat16))
        eval(rule_text(rule), dict(RULES))(parameter)
        assert parameter.requires_grad, name
        assert parameter.is_leaf, name
        assert parameter.isfinite().all(), name


W = Source("w", plain(DType.F32, 5, 4))


def derived(op: str, recipe: Recipe, *shape: int, **attributes: object) -> Derived:
    return Derived(op, (recipe,), tuple(attributes.items()), plain(DType.F32, *shape))


def test_the_text_follows_what_passes_made_of_the_tensor() -> None:
    rule = Initializer("uniform", (("bound", 0.5),))
    tall = derived("reshape", W, 5, 4, 1, 1)
    assert initial_text(rule, W) == "uniform(0.5)"
    assert initial_text(rule, tall) == "uniform(0.5)"
    text = initial_text(rule, derived("pad", tall, 64, 4, 1, 1, axis=0, after=59, value=-1e4))
    assert text == "padded(uniform(0.5), axis=0, after=59, value=-10000)"
    assert (filled(text, 64, 4, 1, 1)[5:] == -1e4).all()


@pytest.mark.parametrize(
    ("rule", "recipe"),
    [
        (Initializer("ones"), derived("exp", W, 5, 4)),
        (Initializer("ones"), derived("pad", W, 6, 4, axis=0, before=1, after=0)),
        (Initializer("ones"), derived("pad", W, 8, 4, axis=0, after=3)),  # of the spec: they would be trained
        (Initializer("ones"), derived("pad", W, 5, 64, axis=1, after=60)),
        (Initializer("log_arange"), derived("reshape", W, 5, 4, 1, 1)),
    ],
)
def test_a_recipe_that_no_rule_can_start_is_refused(rule: Initializer, recipe: Derived) -> None:
    with pytest.raises(ValueError, match=f"{recipe.op} of the checkpoint"):
        initial_text(rule, recipe)


def test_a_kernel_that_a_spec_fills_up_is_held_without_what_it_is_filled_up_with(tmp_path: Path) -> None:
    """It would be trained, and behind a reshape it is not at the end of an axis."""
    text = """
import "lib/waveform.mct"
model filled {
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, 4]) -> f32[B, 2 * T, 4] {
        return conv_transpose1d(framed_conv1d(x, 4, 10) as framed, 4, 5, stride = 2) as up
    }
}
"""
    path = tmp_path / "filled.mct"
    path.write_text(text)
    model = make_spec(path, tmp_path).model
    held = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert held["c.framed.weight"] == (4, 1, 10)
    assert held["c.up.weight"] == (4, 4, 5)


@pytest.mark.parametrize("spec", ["mct_small.mct", "mct_tiny.mct"])
def test_every_parameter_of_the_specs_has_a_start(spec: str, root: object) -> None:
    program = elaborate_file(root / "spec" / spec)  # type: ignore[operator]
    whole = run_stage(program, "common", registry().passes().values(), Context())[0]
    for parameter in whole.parameters.values():
        recipe = parameter.recipe
        while isinstance(recipe, Derived):
            assert recipe.operands[0] is not None
            recipe = recipe.operands[0]
        text = initial_text(whole.sources[recipe.name][1], parameter.recipe)
        assert filled(text, *parameter.type.shape).isfinite().all(), parameter.name
