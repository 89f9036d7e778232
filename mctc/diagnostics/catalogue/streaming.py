"""Stages after the language: MCT0201 to MCT0260. A stage that adds a code adds its entry here."""

from __future__ import annotations

from mctc.diagnostics.catalogue.entry import Entry, plain_model

ENTRIES = (
    Entry(
        "MCT0201",
        "an op that needs the whole utterance",
        "A model with a stream section runs over chunks, and this op needs every frame before it gives its first"
        " result: attention without bounds, a reduction over time, a reversed sequence. Give it a bounded view, or say"
        " how long an utterance is, `utterance { length = 30 s }`: then the component takes all of one in a call. A"
        " decoder, which runs label by label, attends to the labels before its own with `right = 0`; how many they can"
        " be is said by `utterance { labels = 448 }`.",
        plain_model(
            "component c(x: f32[T, 8]) -> f32[T, 8] { return x + reverse(x, T) }",
            "stream { chunk = 320 ms }",
        ),
    ),
    Entry(
        "MCT0202",
        "a chunk that does not divide",
        "Every extent of a streaming component must be whole for one chunk: behind a subsampling by 4, a chunk is a"
        " multiple of 4 frames.",
        plain_model(
            "component c(x: f32[T, 8]) -> f32[T/4, 8] { return slice(x, T, stride = 4) }",
            "stream { chunk = 30 ms }",
        ),
    ),
)
