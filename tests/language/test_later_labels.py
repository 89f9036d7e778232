"""An objective over labels: the op that lets a component see later ones is an error where it stands."""

from __future__ import annotations

import pytest

from .conftest import Check

SPEC = """model m {{
    dim B: batch; dim T: time @ 100 Hz; dim U: label; dim V: vocabulary = 30
    component encoder(x: f32[B, T, 8]) -> f32[B, T, 8] {{ return linear(x, 8) }}
    component predictor(token: i32[B, U] < V) -> f32[B, U, 8] {{
        y = embedding(token, V, 8)
        {predictor}
    }}
    component joiner(e: f32[B, T, 8], p: f32[B, U, 8]) -> f32[B, T, U, V] {{
        y = tanh(e + p)
        return linear({joiner}, V)
    }}
    {train}
}}
"""
TRAIN = "train { objective = rnnt(blank = 0) }"
PAIRS = """z = op.matmul(y, y, transpose_right = true)
        return op.matmul(z, y)"""


def told(check: Check, predictor: str = "return y", joiner: str = "y", train: str = TRAIN) -> list[tuple[str, str]]:
    found = check(SPEC.format(predictor=predictor, joiner=joiner, train=train))
    return [(each.code, each.span.text if each.span else "") for each in found]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("return conv1d(y, 8, 3, look_ahead = 1)", "conv1d(y, 8, 3, look_ahead = 1)"),
        ("return linear(ahead(y, 2), 8)", "ahead(y, 2)"),
        (
            "return attention(y, y, y, heads = 1, left = 2, right = 1)",
            "attention(y, y, y, heads = 1, left = 2, right = 1)",
        ),
        ("return attention(y, y, y, heads = 1)", "attention(y, y, y, heads = 1)"),
        ("return attention(y, y, y, heads = 1, within = 4)", "attention(y, y, y, heads = 1, within = 4)"),
        ('return y - reduce_mean(y, axis = "label")', 'reduce_mean(y, axis = "label")'),
        ('return reverse(lstm(reverse(y, "label"), 8), "label")', 'reverse(y, "label")'),
        ('return y + final(lstm(y, 8), "h")', "lstm(y, 8)"),
        ("return conv1d(delay(y, 1), 8, 3, look_ahead = 2)", "conv1d(delay(y, 1), 8, 3, look_ahead = 2)"),
        (
            'return op.slice(conv1d(pad(y, axis = "label", after = 1), 8, 1), "label", begin = 1)',
            'op.slice(conv1d(pad(y, axis = "label", after = 1), 8, 1), "label", begin = 1)',
        ),
    ],
)
def test_the_op_is_told_where_it_stands(check: Check, body: str, place: str) -> None:
    assert told(check, body) == [("MCT0159", place)]
    assert told(check, body, train="") == []


@pytest.mark.parametrize(
    "body",
    [
        "return lstm(y, 8)",
        "return conv1d(y, 8, 3) + delay(y, 2)",
        "return attention(y, y, y, heads = 1, right = 0)",
        "return attention(y, y, y, heads = 1, left = 3, right = 0)",
        'return op.slice(conv1d(pad(y, axis = "label", before = 2), 8, 1), "label", begin = 2)',
        "scan s: f32[B, U, 8] { s = 0.5 * s + y }\n return s",
        "param table: f32[4, 8] = normal(std = 0.5)\n return y + positional_embedding(y, table, cyclic = true)",
        PAIRS,
    ],
)
def test_what_ends_at_its_own_label_is_no_fault(check: Check, body: str) -> None:
    assert told(check, body) == []


def test_a_joiner_may_look_ahead_over_frames_and_not_over_labels(check: Check) -> None:
    assert told(check, joiner="conv1d(y, 8, 3, look_ahead = 1)") == []
    assert told(check, joiner='y - reduce_max(y, axis = "label")') == [("MCT0159", 'reduce_max(y, axis = "label")')]


def test_what_no_result_reads_is_no_fault(check: Check) -> None:
    assert told(check, "z = conv1d(y, 8, 3, look_ahead = 1)\n return y") == [("MCT0059", "z")]
