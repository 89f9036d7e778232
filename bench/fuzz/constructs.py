"""Constructs of the language and its library in the text of a spec: what neither ops nor types tell."""

from __future__ import annotations

import re
from collections.abc import Mapping

CONSTRUCTS: Mapping[str, str] = {
    "scan with a body": r"\bscan \w+:",
    "matrix of keys and values": r"reduce_sum\(\w+ \* sin\(split_channels",
    "gated linear attention, delta rule": r"\b(gated_linear_attention|delta_net|decayed_pairs)\(",
    "mLSTM, sLSTM": r"\b[ms]lstm\(",
    "Mamba, Mamba-3": r"\bmamba3?\(",
    "ssd": r"\bssd\(",
    "final state by name": r"\bfinal\(",
    "frames folded or unfolded": r"\b(un)?fold_time\(",
    "frames interpolated, transposed convolution": r"\b(upsample_linear|conv_transpose1d)\(",
    "frames of earlier or later": r"\b(delay|ahead)\(",
    "spectra, and back": r"\bi?stft\(",
    "tokens in front of all frames": r'axis = "time"\)\n',
    "sum so far": r"\bcumulative_sum\(",
    "where, comparisons": r"\bwhere\(",
    "argmax, top-k": r"\b(argmax|top_k)\(",
    "codebook": r"\b(quantise|dequantise)\(",
    "group and instance norm": r"\b(group_norm|instance_norm)\(",
    "softmax over time": r"\btime_softmax\(",
    "ELU, PReLU, leaky ReLU": r"\b(elu|prelu|leaky_relu)\(",
    "maximum, minimum of a number": r"\b(maximum|minimum)\(",
    "attention within blocks": r"\bwithin = ",
    "relative attention": r"\brelative_attention\(",
    "dropout, layers left out": r"\b(dropout|layer_drop)\(",
    "part in 32 bits": r"quantize \{[^}]*: f32\b",
    "utterance of a length": r"utterance \{[^}]*length = ",
    "prefill": r"\bprefill = ",
    "other rate beside it": r"dim A: time",
    "samples of sound": r"\bsamples: f32",
    "convolution over samples, log-mel bands": r"\b(framed_conv1d|log_mel|mel_filters)\(",
    "running maximum": r"scan \w+: f32\[[^]]*\] = \S+ \{ \w+ = maximum",
    "final state as a result": r"return [^\n]*\bfinal\(",
    "attention within blocks, in a stream": r"(?s)\bwithin = .*\bstream \{",
    "memory that grows": r"\battend_growing\(",
    "rotary positions": r"\brunning_turns\(",
    "bias by distance": r"\b(slopes|learnt_distances|bucketed_distances)\(",
    "segments with memory vectors": r"\bemformer_layer\(",
    "RWKV-7": r"\brwkv7\(",
    "SAN-M": r"\bmemory_attention\(",
    "constant of a file": r"\bconstant\(file = ",
    "constant by a formula": r"\barange\(",
    "ctc": r"objective = (0.5 \* )?ctc\(",
    "rnnt": r"\brnnt\(",
    "tdt": r"\btdt\(",
    "cross_entropy, joint_ctc_attention": r"\b(cross_entropy|joint_ctc_attention)\(",
    "weighted sum of objectives": r"objective = [^;\n]* \+ ",
    "heads that only train": r"\bof = ",
    "what classes stand for": r"\btokens \{",
}
"""Patterns of a spec's text, by what they are called in docs/fuzzing.md."""


def constructs(text: str) -> list[str]:
    """The names of those that a spec has."""
    return [name for name, pattern in CONSTRUCTS.items() if re.search(pattern, text)]
