"""The library's recurrences against their papers' equations in numpy: whole, in a package, in chunks of any length,
with gates that saturate and silence in between; in fp16 over a minute."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.ir.op import Array
from mctc.language import elaborate_file
from mctc.runtime.step import Packages, stepping
from mctc.streaming.run import stream

from . import recurrences
from .proof import LIMIT, Proof, drawn, largest_error

pytest.importorskip("torch")
WIDTH, HEADS, CHUNK, SECOND = 32, 2, 8, 25
SPEC = """import "lib/linear_attention.mct"
import "lib/xlstm.mct"
import "lib/rwkv7.mct"

model m(width = 32) {{
    dim B: batch
    dim T: time @ 25 Hz
    component c(x: f32[B, T, width]) -> f32[B, T, width] {{
        {body}
        return y
    }}
    stream {{ chunk = 8 frames }}
}}
"""
Definition = Callable[[Array, recurrences.Weights], Array]


def _rwkv7(x: Array, w: recurrences.Weights) -> Array:
    first, later = ({n[len(p) :]: v for n, v in w.items() if n.startswith(p)} for p in ("first.", "later."))
    y, values = recurrences.rwkv7(x, first, HEADS)
    return recurrences.rwkv7(np.tanh(y), later, HEADS, values)[0]


BLOCKS: dict[str, tuple[str, Definition]] = {
    "gla": (
        "y = gated_linear_attention(x, heads = 2, rank = 4, keys = 32)",
        lambda x, w: recurrences.gated_linear_attention(x, w, HEADS),
    ),
    "delta": ("y = delta_net(x, heads = 2)", lambda x, w: recurrences.delta_net(x, w, HEADS, gated=False)),
    "gated delta": (
        "y = delta_net(x, heads = 2, gated = true)",
        lambda x, w: recurrences.delta_net(x, w, HEADS, gated=True),
    ),
    "mlstm": ("y = mlstm(x, heads = 2)", lambda x, w: recurrences.mlstm(x, w, HEADS)),
    "slstm": ("y = slstm(x, heads = 2)", lambda x, w: recurrences.slstm(x, w, HEADS)),
    "rwkv7": (
        "y, v = rwkv7(x, heads = 2) as first; y, v = rwkv7(tanh(y), heads = 2, first = v) as later",
        _rwkv7,
    ),
}
TRAINED = {  # added to what is drawn, in every second entry: gates as they are in trained models, near their ends
    "c.y.input_gate.bias": -8.0, "c.y.forget_gate.bias": 6.0, "c.y.decay.bias": 8.0, "c.y.decay.weight": 1.0,
    "c.y.dt_bias": -2.0, "c.first.w0": -6.0, "c.first.a0": 6.0, "c.later.w0": 4.0, "c.y.gates.bias": 3.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def proofs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Proof]:
    made: dict[str, Proof] = {}

    def of(name: str) -> Proof:
        if name not in made:
            folder = tmp_path_factory.mktemp("recurrence")
            spec = folder / "spec.mct"
            spec.write_text(SPEC.format(body=BLOCKS[name][0]))
            weights = drawn(elaborate_file(spec))
            for key, more in TRAINED.items():
                if key in weights:
                    weights[key].reshape(-1)[::2] += np.float32(more)
                    weights[key] = weights[key].astype(np.float16).astype(np.float32)
            made[name] = Proof.holding(weights, spec, folder)
        return made[name]

    return of


def sound(frames: int) -> Array:
    """Noise, loud and soft, with a stretch of silence, [1, frames, WIDTH]."""
    draw = np.random.default_rng(7)
    level = np.repeat(np.exp(0.5 * draw.normal(size=frames // 8 + 1)), 8)[:frames, None]
    level[frames // 3 : frames // 2] = 0
    return (level * draw.normal(size=(frames, WIDTH)))[None].astype(np.float32)


def defined(proof: Proof, name: str, x: Array) -> Array:
    weights = {key: np.asarray(value, np.float64) for key, value in proof.weights.items()}
    own = {key.removeprefix("c.").removeprefix("y."): value for key, value in weights.items()}
    return BLOCKS[name][1](x[0].astype(np.float64), own)[None]


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_its_papers_equations(name: str, proofs: Callable[[str], Proof]) -> None:
    proof, given = proofs(name), {"x": sound(48)}
    want = defined(proof, name, given["x"])
    assert largest_error(proof.by_reference("c", given)["output"], want) <= LIMIT
    assert largest_error(proof.by_torch("c", given)["output"], want) <= LIMIT
    assert largest_error(proof.by_package("c", given)["output"], want) <= LIMIT
    for chunks in ([1], [7, 3, 16, 2, 20], [48]):
        assert largest_error(proof.by_chunks("c", given, chunks)["output"], want) <= LIMIT


@pytest.mark.slow
@pytest.mark.parametrize("name", BLOCKS)
def test_a_minute_in_fp16_does_not_drift(name: str, proofs: Callable[[str], Proof]) -> None:
    """Slow decays, twenty seconds of silence: the last ten seconds are as near to the equations as fp16 allows."""
    proof, x = proofs(name), sound(60 * SECOND)
    built = proof.built["ane"]
    made = proof._deployed.functions["c"], proof._steps(built.lengths)["c"]
    step = Packages(built, "fp16", proof._load).step("c")
    found = stream(lambda _: made, proof._laid_out("c", {"x": x}), repeat(CHUNK), stepping(step))
    y, want = proof._natural("c", found)["output"], defined(proof, name, x)
    assert np.isfinite(y).all()
    last = slice(-10 * SECOND, None)
    assert np.abs(y - want).max() <= 0.02 * np.abs(want).max()
    assert 10 * np.log10((want[0, last] ** 2).sum() / ((y - want)[0, last] ** 2).sum()) >= 40


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("gated_linear_attention(x, heads = 2, keys = 31)", "31 channels of keys do not divide into 2 heads"),
        ("delta_net(x, heads = 2, values = 31)", "31 channels of values do not divide into 2 heads"),
        ("mlstm(x, heads = 3)", "32 channels do not divide into 3 heads"),
        ("slstm(x, heads = 3)", "32 channels do not divide into 3 heads"),
    ],
)
def test_channels_that_do_not_divide_into_heads_are_refused_in_these_words(
    call: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "m.mct").write_text(SPEC.format(body=f"y = {call}"))
    with pytest.raises(DiagnosticError, match=told):
        elaborate_file(tmp_path / "m.mct")
