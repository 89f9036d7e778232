"""Heads of attention go whole, in queries, keys, values, results and what is learnt for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bench.reduced import SIZES
from mctc.coded import opened
from mctc.compress.sorting import kept_tensors, orders, sorted_tensors
from mctc.diagnostics.diagnostic import LocatedError
from mctc.driver import BuildOptions, build
from mctc.driver.load import load_program
from mctc.ir.ops.attention import OverKeys
from mctc.ir.program import Program
from mctc.ir.recipes import compose, with_recipe
from mctc.ir.text import parse_program
from mctc.passes.prune import Prune
from mctc.rewrite.removed_groups import removed
from mctc.rewrite.validate import ValidationError, validate
from tests.passes.pruned import checkpoint, drawn_scores, program_of, pruned, results

IR = """program @m {{ dim B: batch dim T: time prune {{ "f.a.heads" = {share} }}
    source @q: f32[{queries}, 6] = normal() source @k: f32[{keys}, 6] = normal() source @v: f32[{values}, 6] = normal()
    source @o: f32[6, {made}] = normal() {sources}
    param @q param @k param @v param @o
    function @f(%x: f32[batch B, time T, channel 6]) {{
        %wq = parameter @q %wk = parameter @k %wv = parameter @v %wo = parameter @o {loaded}
        %q = linear(%x, %wq) %k = linear(%x, %wk) %v = linear(%x, %wv)
        %a = {attention} in f.a
        %y = linear(%a, %wo)
        return out = %y
    }} }}"""
LEARNT = "source @p: f32[8, 6] = normal() source @u: f32[8] = normal() source @w: f32[8] = normal()"
FORMS = {
    "plain": {"attention": "attention(%q, %k, %v, heads = 4)"},
    "values of another width": {
        "values": 12, "made": 12, "attention": "attention(%q, %k, %v, heads = 4, left = 3, right = 0)",
    },
    "grouped": {
        "keys": 4, "values": 4, "attention": "attention(%q, %k, %v, heads = 4, kv_heads = 2)",
    },
    "biased by distance": {
        "sources": "source @b: f32[4, 3] = normal() param @b", "loaded": "%b = parameter @b",
        "attention": "attention(%q, %k, %v, none, %b, heads = 4, left = 2, right = 0)",
    },
    "one bias for all": {
        "sources": "source @b: f32[1, 3] = normal() param @b", "loaded": "%b = parameter @b",
        "attention": "attention(%q, %k, %v, none, %b, heads = 4, left = 2, right = 0)",
    },
    "relative": {
        "sources": f"{LEARNT} param @p param @u param @w",
        "loaded": "%p = parameter @p %u = parameter @u %w = parameter @w",
        "attention": "relative_attention(%q, %k, %v, %p, %u, %w, heads = 4, left = 2, right = 1)",
    },
}  # fmt: skip


def of_form(name: str, share: float = 0.5) -> Program:
    known = {"queries": 8, "keys": 8, "values": 8, "made": 8, "sources": "", "loaded": "", **FORMS[name]}
    return parse_program(IR.format(share=share, **known))


@pytest.mark.parametrize("name", FORMS)
def test_half_of_the_heads_go_whole(name: str) -> None:
    before = of_form(name)
    after = pruned(before)
    assert validate(Prune(), before, after) < 1e-9
    (op,) = (op for _, op in after.ops() if isinstance(op, OverKeys))
    assert op.heads == 2
    assert op.key_heads == (1 if name == "grouped" else 2)
    old, new = ({key: each.type.shape for key, each in program.parameters.items()} for program in (before, after))
    assert [new[key][0] * 2 for key in "qkv"] == [old[key][0] for key in "qkv"]
    assert new["o"] == (6, old["o"][1] // 2)
    assert new.get("b", (2, 3)) == ((1, 3) if name == "one bias for all" else (2, 3))
    assert all(new.get(key, (4,))[0] == 4 for key in "puw")


def test_the_proof_fails_where_columns_of_another_head_were_kept() -> None:
    before = of_form("plain")
    after = pruned(before)
    smaller = after.parameters["o"]
    other = compose("slice", [before.parameters["o"].recipe], {"axis": 1, "begin": 4, "end": 8})
    after.parameters = {**after.parameters, "o": with_recipe(smaller, "o", other)}
    with pytest.raises(ValidationError, match="promised masks"):
        validate(Prune(), before, after)


SPEC = """import "lib/conformer.mct"

model m(width = 16) {
    dim B: batch
    dim T: time @ 100 Hz
    component e(x: f32[B, T, 20]) -> f32[B, T, 5] {
        y = linear(x, width) as first
        repeat 2 { y = y + relative_self_attention(y, 4, left = 3, right = 1) as self }
        return linear(y, 5) as last
    }
    stream { chunk = 80 ms }
    PRUNE
}
"""


def test_rounds_keep_as_many_and_a_sorted_checkpoint_is_of_the_same_function(tmp_path: Path) -> None:
    program, plain = program_of(SPEC, tmp_path, "**.heads: 0.25"), program_of(SPEC, tmp_path, "")
    path, after, cut = checkpoint(program, tmp_path / "w"), tmp_path / "sorted", tmp_path / "cut"
    held = opened(path)
    groups, order = orders(program, held, drawn_scores(held, tmp_path))
    assert [(each.dimension.name, len(each.groups)) for each in order] == [
        (f"e.layers.{layer}.self.heads", 4) for layer in (0, 1)
    ]
    tensors = sorted_tensors(program, groups, order, held)
    assert not np.array_equal(tensors["e.layers.1.self.position"], held.read("e.layers.1.self.position"))
    save_file(dict(tensors), after)
    np.testing.assert_allclose(results(plain, after), results(plain, path), rtol=1e-9, atol=1e-12)
    save_file(dict(kept_tensors(program, groups, removed(program, groups), tensors)), cut)
    smaller = pruned(program)
    assert smaller.parameters["e.layers.1.self.content_bias"].type.shape == (12,)
    assert opened(cut).shapes["e.layers.0.self.out.weight"] == (16, 12)
    np.testing.assert_array_equal(results(smaller, cut), results(smaller, after))


def test_rows_of_a_projection_that_are_no_whole_heads_stay(tmp_path: Path) -> None:
    with pytest.raises(LocatedError, match="some of its entries go together with others"):
        pruned(program_of(SPEC, tmp_path, "e.layers.0.self.q.channels: 0.1"))


@pytest.mark.parametrize("name", ["conformer_streaming", "whisper_tiny", "qwen3_asr_0_6b"])
def test_specs_lose_heads(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.mct"
    held = Path(f"spec/{name}.mct").read_text().rstrip().removesuffix("}")
    path.write_text(f"{held} prune {{ **.{{self, self_attn}}.heads: 0.5 }} }}\n")
    before = load_program(path, None, dict(SIZES[name]))
    assert validate(Prune(), before, pruned(before)) < 1e-9


@pytest.mark.slow
def test_a_build_with_fewer_heads_streams_with_smaller_caches(tmp_path: Path) -> None:
    caches = []
    for rules in ("", "**.heads: 0.5"):
        program_of(SPEC, tmp_path, rules)
        result = build(tmp_path / "m.mct", tmp_path / f"built{len(caches)}", BuildOptions(verify_each=True))
        step = next(iter(result.compiled.derived.functions.values()))
        caches.append(sum(state.value.type.size for state in step.states))
    assert caches[1] < 0.8 * caches[0]
