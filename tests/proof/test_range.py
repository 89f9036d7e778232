"""Numbers inside of a model that fp16 can't hold, and whose results it can: a build says so where a result depends on
how far beyond they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import mctc
from mctc.cli.build import build
from mctc.diagnostics.errors import MctcError

SPEC = """
model apart(width = 8) {{
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, width]{domain}) -> f32[B, T, width] {{
        {statement}
        return {body}
    }}
    stream {{ chunk = 80 ms }}
}}
"""
INSIDE = "tanh(0.00001 * (x * 1e7))"


def warned(folder: Path, body: str, domain: str = "", target: str = "ane", statement: str = "") -> set[str]:
    (folder / "apart.mct").write_text(SPEC.format(body=body, domain=domain, statement=statement))
    done = mctc.build(folder / "apart.mct", folder / "built", target=target, force=True)
    return {entry["beyond"] for entry in done.manifest["verification"] if "beyond" in entry}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (INSIDE, "scale of c at apart.mct:7:32"),
        ("sigmoid(x / (1e-6 + abs(x) * 1e-6) / 100000)", "div of c at apart.mct:7:24"),
        ('tanh(0.00002 * reduce_sum(x * 20000, "channel")) + x', "reduce_sum of c at apart.mct:7:31"),
    ],
)
def test_a_result_that_depends_on_what_fp16_cannot_hold_is_told_with_its_line(
    body: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert warned(Path(), body) == {f"fp16 can't hold what {place} gives on noise, and output of c depends on it"}


@pytest.mark.parametrize(
    ("body", "domain"),
    [
        (INSIDE, " in [-0.006, 0.006]"),
        ("sigmoid(x * 1e7)", ""),
        ("clip(x * 1e7, low = -1, high = 1)", ""),
        ("tanh(0.00001 * (x * 10000))", ""),
    ],
)
def test_nothing_is_told_where_no_result_depends_on_it(body: str, domain: str, tmp_path: Path) -> None:
    assert warned(tmp_path, body, domain) == set()


def test_states_that_no_utterance_has_are_no_reason(tmp_path: Path) -> None:
    """The sum so far, which is 1 and more: noise stands for such as are near 0."""
    step = "scan s: f32[B, T, width] { s = s + abs(x) + 1 }"
    assert warned(tmp_path, "tanh(0.00001 * (30000 / s))", statement=step) == set()


def test_a_build_prints_it(tmp_path: Path) -> None:
    (tmp_path / "apart.mct").write_text(SPEC.format(body=INSIDE, domain="", statement=""))
    done = CliRunner().invoke(build, [str(tmp_path / "apart.mct"), "-o", str(tmp_path / "built")])
    assert done.exit_code == 0
    assert "  warning: fp16 can't hold what scale of c at " in done.output


def test_an_asset_of_core_ai_is_held_to_the_same(tmp_path: Path) -> None:
    pytest.importorskip("coreai")
    (told,) = warned(tmp_path, "tanh(0.0001 * (x * 60000) * 0.1)", target="coreai")
    assert "gives on noise, and output of c depends on it" in told


def test_an_asset_that_is_far_off_for_that_reason_says_so(tmp_path: Path) -> None:
    pytest.importorskip("coreai")
    with pytest.raises(
        MctcError, match=r"differs from the program by .*: fp16 can't hold what scale of c at .* gives"
    ) as e:
        warned(tmp_path, INSIDE, target="coreai")
    assert "scale what comes before it" in str(e.value.hint)
