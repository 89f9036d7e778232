"""Vocabularies padded to 64; padded entries never win; what cannot be padded stays, and a warning says why."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.program import VocabularyMap
from mctc.passes.pad_vocabulary import NEVER, PadVocabulary
from mctc.weights import Weights

SOURCES = """source @out.weight: f32[vocabulary 10, 4, 1, 1] = normal()
    source @out.bias: f32[vocabulary 10] = normal() param @out.weight param @out.bias"""


def program(body: str, bias: bool = True) -> str:
    loaded = "%w = parameter @out.weight %b = parameter @out.bias" if bias else "%w = parameter @out.weight"
    return f"""program @m {{ dim B: batch dim T: time {SOURCES}
        function @joiner(%x: f32[batch B, channel 4, unit 1, time T]) {{ {loaded} {body} }} }}"""


def test_weights_get_zero_rows_and_the_bias_keeps_them_from_winning(rewrites):
    before = program("%y = conv2d(%x, %w, %b) return logits = %y")
    after = """program @m { dim B: batch dim T: time
        source @out.weight: f32[vocabulary 10, 4, 1, 1] = normal()
        source @out.bias: f32[vocabulary 10] = normal()
        param @out.weight: f32[vocabulary 64, 4, 1, 1] = pad(@out.weight, axis = 0, before = 0, after = 54, value = 0.0)
        param @out.bias: f32[vocabulary 64] = pad(@out.bias, axis = 0, before = 0, after = 54, value = -10000.0)
        vocabulary @joiner logits: 10 -> 64
        function @joiner(%x: f32[batch B, channel 4, unit 1, time T]) {
            %w = parameter @out.weight
            %b = parameter @out.bias
            %y = conv2d(%x, %w, %b): f32[batch B, vocabulary 64, unit 1, time T]
            return logits = %y
        } }"""
    made, context = rewrites(PadVocabulary, before, after)
    assert made.vocabularies == (VocabularyMap("joiner", "logits", 10, 64),)
    assert context.explanations[0][1] == "joiner.logits"


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("end", ["", "log_softmax", "softmax"])
def test_a_padded_entry_never_wins(rewrites, bias, end):
    layer = f"%y = conv2d(%x, %w{', %b' if bias else ''})"
    body = f"{layer} {f'%z = {end}(%y)' if end else ''} return logits = {'%z' if end else '%y'}"
    made, _ = rewrites(PadVocabulary, program(body, bias))
    weights = Weights(made.sources)
    x = np.random.default_rng(0).normal(scale=30, size=(1, 4, 1, 50))
    results, _ = evaluate(made.functions["joiner"], {"x": x}, lambda name: weights.value(made.parameters[name]))
    assert results["logits"].shape == (1, 64, 1, 50)
    assert results["logits"].argmax(1).max() < 10
    assert np.isfinite(results["logits"].astype(np.float16)).all()


def test_a_vocabulary_of_a_multiple_of_64_is_left_alone(rewrites):
    text = program("%y = conv2d(%x, %w, %b) return logits = %y").replace("vocabulary 10", "vocabulary 64")
    rewrites(PadVocabulary, text, text)


def test_token_tables_get_zero_rows(rewrites):
    made, _ = rewrites(
        PadVocabulary,
        """program @m { dim B: batch dim U: label source @table: f32[vocabulary 10, 4] = normal() param @table
        function @predictor(%token: i32[batch B, unit 1, unit 1, label U] < 10) {
            %t = parameter @table
            %e = embedding(%token, %t)
            return out = %e
        } }""",
    )
    table = Weights(made.sources).value(made.parameters["table"])
    assert table.shape == (64, 4)
    assert not table[10:].any()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("%y = conv2d(%x, %w, %b) %z = neg(%y) return logits = %z", "made by neg"),
        ("%y = conv2d(%x, %w, %b) %z = scale(%y, factor = 100.0) return logits = %z", "made by scale"),
        ("%y = conv2d(%x, %w, %b) %z = exp(%y) return logits = %y, other = %z", "reads them too"),
        ("%y = conv2d(%x, %w, %b) %z = reduce_sum(%y, axis = channel) return logits = %y, sum = %z", "reads them too"),
    ],
)
def test_classes_that_can_not_be_padded_stay_as_many_and_are_told_with_the_op(rewrites, body, words):
    made, context = rewrites(PadVocabulary, program(body))
    assert made.vocabularies == ()
    assert all(64 not in value.type.substitute({"B": 1, "T": 1}).shape for _, value in made.functions["joiner"].results)
    assert any(words in warning.message and warning.hint and not warning.is_error for warning in context.warnings)


def test_the_padded_logit_is_finite_in_fp16_and_its_exponential_is_zero():
    assert np.isfinite(np.float16(NEVER))
    assert np.exp(np.float64(NEVER)) == 0
