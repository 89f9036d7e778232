"""Path patterns of quantize sections."""

from __future__ import annotations

import pytest

from mctc.ir.path_pattern import matches


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("encoder.**", "encoder.layers.0.in_proj.weight"),
        ("encoder.**", "encoder"),
        ("encoder.**.{in_proj, out_proj}", "encoder.layers.3.mamba.in_proj.weight"),
        ("encoder.**.{in_proj, out_proj}", "encoder.out_proj.weight"),
        ("**", "a"),
        ("**.**", "a.b"),
        ("**.weight", "weight"),
        ("**.a.**", "x.a.y"),
        ("**.a.**", "a"),
        ("a.**.b", "a.b"),
        ("a.**.b", "a.x.y.b"),
        ("*", "a.weight"),
        ("a.in_*", "a.in_proj"),
        ("{a, b.c}.d", "b.c.d"),
        ("{a, {b, c}}.d", "c.d"),
    ],
)
def test_it_matches(pattern, path):
    assert matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("encoder.**", "encoders.x"),
        ("*.weight", "a.b.weight"),
        ("a.**.b", "ab"),
        ("a.**.b", "a.xb"),
        ("**.a", "xa"),
        ("a.b", "aXb"),
        ("{a, b}.c", "d.c"),
    ],
)
def test_it_does_not_match(pattern, path):
    assert not matches(pattern, path)
