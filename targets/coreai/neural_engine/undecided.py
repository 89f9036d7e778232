"""The rules that a graph alone does not decide, and why."""

from __future__ import annotations

UNDECIDED: dict[str, str] = {
    "NE04": "(the whole graph stays on the engine) only a device says; the error rules are what is known to end it",
    "NE10": "(transposes around a convolution match) a fault of numbers: the comparison with the program finds it",
    "NE12": "(high-level norms and activations) coreai 1.0.0b3 has no op for norms or softplus, they are composed",
    "NE21": "(strides of pooling) no op of the IR pools",
    "NE22": "(compression helps layers that are bound by weights) advice on what to compress, for `quantize { }`",
    "NE26": "(batch and sequence as one around an MLP) contradicts NE06; the sequence is known here, so NE08 holds",
    "NE27": "(no fused attention) mctc writes attention by heads, never as one op",
    "NE28": "(a mask's orientation) a fault of numbers: the comparison with the program finds it",
    "NE29": "(no -inf in a mask) a constant that fp16 can't hold is refused when it is written; masks hold -30000",
    "NE31": "(prefill in chunks) how a caller divides the work; `stream { chunk = ... }` says it",
    "NE35": "(contiguous inputs) what a caller passes; mctc's own engine passes contiguous arrays",
    "NE36": "(an entry point for each length) a build has one chunk length; build again for another",
    "NE37": "(coreai-build --preferred-compute neural-engine) a command on a Mac",
    "NE38": "(at most 2 GB on iOS) the size of the asset stands in the summary of a build",
    "NE39": "(50 dB in fp16, 40 dB after compression) measured by `mctc verify`, not read from a graph",
    "NE40": "(outputs by name) what a caller does; mctc's own engine goes by names",
}
