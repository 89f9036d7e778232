"""Placement and estimates held to a public study of an M4: what it must reach, and where its rates come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.hardware.cost import OWN
from mctc.hardware.rates import MEMORY, RATES
from mctc.linter.coreml.cost import count
from mctc.linter.coreml.placement import Eligible
from mctc.linter.coreml.traffic import moved_bytes, streamed_bytes
from tests.linter.coreml.study import (
    Estimate,
    Graph,
    errors,
    estimates,
    graphs,
    op_of,
    ops_of,
    placed,
    quantile,
    read,
    returned,
    score,
)  # fmt: skip

GRAPHS = graphs()
ROOT = Path(__file__).parents[3]


def test_of_all_graphs_nine_tenths_of_the_ops_are_firmly_where_core_ml_puts_them() -> None:
    found = score(GRAPHS.values())
    assert found.right + found.doubtful + found.wrong == 2214
    assert found.share(found.right) >= 90
    assert found.share(found.doubtful) <= 9
    assert found.share(found.wrong) <= 0.7


def test_the_page_gives_these_scores() -> None:
    page = (ROOT / "docs" / "lint-placement.md").read_text(encoding="utf-8")
    found = score(GRAPHS.values())
    off = errors(row for row in estimates() if not row.fitted)
    for what, value in (
        ("firm and right", f"{found.share(found.right):.1f} %"),
        ("doubtful", f"{found.share(found.doubtful):.1f} %"),
        ("firm and wrong", f"{found.share(found.wrong):.1f} %"),
        ("figures (ops, each side)", str(len(off))),
        ("median error", f"{100 * quantile(off, 0.5):.4f} %"),
        ("95 % are within", f"{100 * quantile(off, 0.95):.2f} %"),
    ):
        assert f"| {what} | {value} |" in page


def test_the_only_ops_firmly_elsewhere_are_those_that_the_study_cannot_explain_either() -> None:
    wrong = [
        graph.name
        for graph in GRAPHS.values()
        if any(ours not in ("?", theirs) for ours, theirs in zip(placed(graph), graph.plan, strict=True))
    ]
    assert wrong == ["ctx/band_part"]  # the plan costs more than the cheapest path by its own figures


def test_what_the_engine_takes_is_what_core_ml_says_it_takes() -> None:
    """Eligible ops have an estimate for the engine, ops that are not eligible have none; contested ones may."""
    for row in estimates():
        report = read(graphs()[row.graph])
        eligible = report.functions[0].ops[row.index].eligible
        if row.graph != "ctx/topk_w":  # the engine's estimate of that row is not known
            assert eligible is Eligible.CONTESTED or (eligible is Eligible.YES) == (row.ane is not None), row


ATTENTION = {  # heads, positions, width of fp16 attention: where the plan of vx-lang/Vx #437 puts it (an M4)
    (1, 128, 64): "C", (1, 2048, 64): "C", (1, 2048, 128): "C", (8, 512, 64): "C", (16, 1024, 64): "C",
    (16, 2048, 64): "A", (32, 1024, 128): "A",
}  # fmt: skip


@pytest.mark.parametrize(("shape", "plan"), ATTENTION.items())
def test_attention_is_where_another_measurement_has_it(shape: tuple[int, int, int], plan: str) -> None:
    graph = _attention(*shape, plan)
    assert placed(graph) in (plan, "?")
    assert read(graph).functions[0].segments[0].backend == ("ane" if plan == "A" else "cpu")


def test_attention_far_from_the_threshold_is_not_doubtful() -> None:
    assert [placed(_attention(16, length, 64)) for length in (512, 2048)] == ["C", "A"]


def _attention(heads: int, positions: int, width: int, plan: str = "") -> Graph:
    type_ = f"fp16[1, {heads}, {positions}, {width}]"
    lines = [f"{name}: {type_}" for name in "qkv"]
    lines.append(f"y: {type_} = scaled_dot_product_attention(query=q, key=k, value=v)")
    return Graph(f"attention {positions}", returned(lines), plan)


@pytest.mark.parametrize(("width", "plan"), [(4, "C"), (384, "C"), (512, "A")])
def test_a_product_alone_is_where_another_measurement_has_it(width: int, plan: str) -> None:
    """vx-lang/Vx #435 and #436, an M4."""
    type_ = f"fp16[{width}, {width}]"
    lines = [f"x: {type_}", f"y: {type_}", f"z: {type_} = matmul(x=x, y=y)"]
    assert placed(Graph("product", returned(lines), plan)) == plan


def test_a_topk_between_large_convolutions_is_placed_with_them_and_called_slow() -> None:
    """751K, ana/topk/topk_big_c.mil: a whole graph on the engine; topk_timing.txt: 10 ms more than without."""
    conv = 'fp16[1, 256, 64, 64] = conv(pad_type="same", weight=fp16[256, 256, 3, 3]'
    layers = [f"a: {conv}, x=x)", *[f"a: {conv}, x=a)"] * 3]
    topk = "b: (fp16[1, 256, 64, 64], uint16[1, 256, 64, 64]) = topk(axis=1, k=256, x=a)"
    behind = [f"c: {conv}, x=b)", *[f"c: {conv}, x=c)"] * 3]
    graph = Graph("topk", returned(["x: fp16[1, 256, 64, 64]", *layers, topk, *behind]), "A" * 9)
    report = read(graph)
    assert placed(graph) == "AAAA?AAAA"
    assert [segment.backend for segment in report.functions[0].segments] == ["ane"]
    assert "ANE-OP-020b" in {finding.rule.code for finding in report.findings}
    slow = report.functions[0].ops[4]
    assert (slow.ane, slow.cpu) == (pytest.approx(57.4, rel=0.01), pytest.approx(68.9, rel=0.01))


def test_estimates_of_the_half_that_was_not_fitted() -> None:
    off = errors(row for row in estimates() if not row.fitted)
    assert len(off) > 180
    assert quantile(off, 0.5) <= 0.001
    assert quantile(off, 0.95) <= 0.01


@pytest.mark.parametrize("name", ["iso/lstm"])
def test_what_the_estimates_miss_is_known(name: str) -> None:
    """Core ML takes 16 steps of a small lstm for 477 ms. It is the CPU's in any case."""
    off = [row for row in estimates() if errors([row])[-1] > 0.02]
    assert {row.graph for row in off} == {name}


def _rate(row: Estimate) -> tuple[str, int] | None:
    """Which of the rates of its own an op is estimated at."""
    op = op_of(row)
    return next(
        ((op.type, n) for n, rate in enumerate(OWN.get(op.type, ())) if count(op).of(rate.by) < rate.below), None
    )


OF_EVERY_TYPE = [(types, number) for types, rates in RATES.items() for number in range(len(rates))]


@pytest.mark.parametrize(("types", "number"), OF_EVERY_TYPE, ids=[f"{types[0]}-{n}" for types, n in OF_EVERY_TYPE])
def test_every_rate_follows_from_the_fitted_half(types: tuple[str, ...], number: int) -> None:
    rate = RATES[types][number]
    rows = [row for row in estimates() if row.fitted and _rate(row) in [(each, number) for each in types]]
    assert rows
    for row in rows:
        op = op_of(row)
        assert row.cpu is not None
        assert count(op).of(rate.cpu_of or rate.of) / row.cpu == pytest.approx(rate.cpu, rel=0.001)
        if row.ane is not None:
            assert count(op).of(rate.of) / row.ane == pytest.approx(rate.ane, rel=0.001)


def test_the_rate_of_memory_follows_from_the_fitted_half() -> None:
    implied = []
    for row in estimates():
        op = op_of(row)
        if row.fitted and row.ane is not None and op.type in ("sigmoid", "reshape", "pad", "tile", "maximum", "cast"):
            implied.append((streamed_bytes(op) + moved_bytes(op)[1]) / row.ane)
    assert len(implied) >= 4
    assert implied == [pytest.approx(MEMORY.ane, rel=0.001)] * len(implied)


def test_a_graph_in_context_has_two_layers_on_every_side() -> None:
    assert [op.type for op in ops_of(GRAPHS["ctx/linear"])] == ["linear", "relu"] * 2 + ["linear"] + [
        "linear",
        "relu",
    ] * 2
    assert len(ops_of(GRAPHS["ctx/add"])) == 13


def test_an_op_that_costs_the_same_on_either_side_of_the_last_switch_is_doubtful() -> None:
    assert placed(GRAPHS["ctx/relu"]) == "AAAAAAA?"
