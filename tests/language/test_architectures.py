"""The language says the architectures that the project is for, none of which it knows."""

from __future__ import annotations

import pytest

from mctc.language import elaborate_file

from .conftest import HEAD, Elaborate

BIDIRECTIONAL_MAMBA = """
import "lib/mamba.mct"
block two_way_mamba(x: f32[B, T, C]) -> f32[B, T, C] {
    ahead = mamba(x) as ahead
    back = reverse(mamba(reverse(x, T)) as back, T)
    return 0.5 * (ahead + back)
}
model m(width = 32) {
    HEAD
    component c(x: f32[B, T, width]) -> f32[B, T, width] {
        repeat 2 { x = x + two_way_mamba(layer_norm(x) as norm) }
        return x
    }
}
"""
CONFORMER = """
import "lib/subsample.mct"
block feed_forward(x: f32[..., C], factor = 4) {
    h = silu(linear(layer_norm(x) as norm, factor * C) as up)
    return x + 0.5 * (linear(h, C) as down)
}
block self_attention(x: f32[..., C], heads, left, right) {
    y = layer_norm(x) as norm
    q, k, v = split(linear(y, 3 * C) as qkv, 3)
    return x + linear(attention(q, k, v, heads = heads, left = left, right = right), C) as out
}
block convolution(x: f32[..., C], kernel) {
    a, b = split(linear(layer_norm(x) as norm, 2 * C) as pointwise, 2)
    y = depthwise_conv1d(a * sigmoid(b), kernel, look_ahead = kernel // 2) as depthwise
    return x + linear(silu(batch_norm(y) as bn), C) as out
}
model m(width = 64, heads = 4, kernel = 15, depth = 2, mels = 80, characters = 30) {
    HEAD
    dim V: vocabulary = characters + 1
    component encoder(mel: f32[B, T, mels]) -> logits: f32[B, T/4, V] {
        x = conv_subsample(mel, width)
        repeat depth as blocks {
            x = feed_forward(x) as ff1
            x = self_attention(x, heads, 32, 8) as attn
            x = convolution(x, kernel) as conv
            x = layer_norm(feed_forward(x) as ff2) as norm
        }
        return log_softmax(linear(x, V) as ctc)
    }
    train { objective = ctc(blank = 0) }
    stream { chunk = 640 ms }
}
"""
ENCODER_DECODER = """
block attend(x: f32[..., C], memory: f32[B, S, M] = none, heads = 4, causal = false) {
    source = memory if memory != none else x
    q = linear(x, C)
    k = linear(source, C, bias = false)
    v = linear(source, C)
    y = attention(q, k, v, heads = heads, right = 0 if causal else none)
    return linear(y, C) as out
}
block layer(x: f32[..., C], memory: f32[B, S, M] = none, causal = false) {
    x = x + attend(layer_norm(x) as attn_norm, causal = causal) as attn
    if memory != none { x = x + attend(layer_norm(x) as cross_norm, memory) as cross }
    return x + linear(gelu(linear(layer_norm(x) as mlp_norm, 4 * C) as fc1), C) as fc2
}
model m(width = 64, depth = 2, mels = 80, vocab = 100) {
    HEAD
    dim U: label
    param embed: f32[vocab, width] = normal(std = 0.02)
    component encoder(mel: f32[B, T, mels]) -> f32[B, T/2, width] {
        x = gelu(conv1d(mel, width, 3, look_ahead = 1) as conv1)
        x = gelu(conv1d(x, width, 3, stride = 2, look_ahead = 1) as conv2)
        repeat depth { x = layer(x) }
        return layer_norm(x) as norm
    }
    component decoder(token: i32[B, U] < vocab, memory: f32[B, T/2, width]) -> logits: f32[B, U, vocab] {
        x = op.embedding(token, embed)
        repeat depth { x = layer(x, memory, causal = true) }
        return op.linear(layer_norm(x) as norm, embed)
    }
}
"""
GROUPED_QUERIES = """
block grouped(x: f32[..., C], heads, groups, window) {
    head = C // heads
    assert heads % groups == 0, "{heads} heads do not divide into {groups} groups"
    q = linear(x, C, bias = false)
    k = linear(x, groups * head, bias = false)
    v = linear(x, groups * head, bias = false)
    y = attention(q, k, v, heads = heads, kv_heads = groups, left = window, right = 0)
    return linear(y, C, bias = false) as o
}
block gated(x: f32[..., C], inner) {
    return linear(silu(linear(x, inner) as gate) * linear(x, inner) as up, C) as down
}
model m(width = 64, vocab = 100) {
    dim B: batch
    dim U: label
    component decoder(token: i32[B, U] < vocab) -> f32[B, U, vocab] {
        x = embedding(token, vocab, width)
        repeat 2 {
            x = x + grouped(rms_norm(x) as input_norm, 8, 2, 128) as attn
            x = x + gated(rms_norm(x) as post_norm, 160) as mlp
        }
        return linear(rms_norm(x) as norm, vocab, bias = false) as head
    }
}
"""


@pytest.mark.parametrize(
    ("source", "name", "parameters"),
    [
        (BIDIRECTIONAL_MAMBA, "c.layers.1.two_way_mamba.back.in_proj.weight", 2 * (2 + 2 * 9)),
        (CONFORMER, "encoder.blocks.1.conv.depthwise.weight", 6 + 2 * (6 + 6 + 12 + 6 + 2) + 2),
        (ENCODER_DECODER, "decoder.layers.0.layer.cross.k.weight", 1 + 4 + 2 * 15 + 2 + 2 * 24 + 2),
        (GROUPED_QUERIES, "decoder.layers.1.attn.k.weight", 1 + 2 * (2 + 4 + 6) + 2),
    ],
    ids=["bidirectional Mamba", "Conformer with CTC", "encoder and decoder", "grouped queries"],
)
def test_an_architecture_elaborates(source: str, name: str, parameters: int, elaborate: Elaborate) -> None:
    program = elaborate(source.replace("HEAD", HEAD))
    assert name in program.parameters
    assert len(program.parameters) == parameters


def test_the_shipped_models_differ_in_size_alone() -> None:
    from pathlib import Path

    spec = Path(__file__).parents[2] / "spec"
    small, tiny = elaborate_file(spec / "mct_small.mct"), elaborate_file(spec / "mct_tiny.mct")
    assert (small.name, tiny.name) == ("mct_small", "mct_tiny")
    assert set(tiny.parameters) < set(small.parameters)
    assert "encoder.layers.7.mamba.in_proj.weight" in small.parameters
    assert "encoder.layers.3.mamba.in_proj.weight" in tiny.parameters
    for path in (spec / "mct_tiny.mct",):
        code = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
        assert len(code) <= 5
