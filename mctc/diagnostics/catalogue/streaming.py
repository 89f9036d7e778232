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
        " be is said by `utterance { labels = 448 }`. A component that takes frames of two time dimensions needs them"
        " whole too: nothing says which of the one come with which of the other.",
        plain_model(
            "component c(x: f32[T, 8]) -> f32[T, 8] { return x + reverse(x, T) }",
            "stream { chunk = 320 ms }",
        ),
    ),
    Entry(
        "MCT0202",
        "a chunk that does not divide",
        "Every extent of a streaming component must be whole for one chunk: behind a subsampling by 4, a chunk is a"
        " multiple of 4 frames. Where a model has time dimensions of several rates, a chunk is the same time for each:"
        " 40 ms are 4 frames at 100 Hz and 1 frame at 25 Hz, and 30 ms are none.",
        plain_model(
            "component c(x: f32[T, 8]) -> f32[T/4, 8] { return slice(x, T, stride = 4) }",
            "stream { chunk = 30 ms }",
        ),
    ),
    Entry(
        "MCT0203",
        "axes that no target takes",
        "Every target computes in one layout: batch, channels, one axis of features or labels, time. A tensor has each"
        " role once at most, and an op must not move entries from one axis to another.",
        plain_model(
            "dim F: feature = 4",
            "dim G: feature = 5",
            "component c(x: f32[T, F, G]) -> f32[T, F, G] { return relu(x) }",
            "stream { chunk = 320 ms }",
        ),
    ),
    Entry(
        "MCT0204",
        "a vocabulary that is not padded",
        "A warning: the classes of a result are padded to a multiple of 64, by entries that can never win, where a"
        " linear layer makes them, with at most softmax or log_softmax behind it, and nothing else reads them. Others"
        " stay as many as they are; the Neural Engine then stores more for each of them than it needs (ANE-LY-002). An"
        " axis that holds no classes is declared by a plain number, not by a vocabulary dimension.",
        plain_model(
            "dim V: vocabulary = 30",
            "component c(x: f32[T, 8]) -> f32[T, V] { return relu(linear(x, V)) }",
            "stream { chunk = 320 ms }",
        ),
    ),
    Entry(
        "MCT0205",
        "nothing says how much audio a call takes",
        "Core ML and Core AI compute in fixed shapes: `stream { chunk = 320 ms }` or `utterance { length = 30 s }` says"
        " how many frames a call takes, or --chunk of `mctc build`. PyTorch and ONNX take utterances of any length"
        " without.",
        plain_model("component c(x: f32[T, 8]) -> f32[T, 8] { return linear(x, 8) }"),
    ),
    Entry(
        "MCT0206",
        "what a target refuses",
        "Names that Python or a torch module has for itself, ports of an artifact whose names clash, and what else one"
        " target alone can't take. `mctc check --target NAME` makes it an error for the targets that are meant.",
        plain_model(
            "component c(x: f32[T, 8]) -> f32[T, 8] { return linear(x, 8) as forward }",
            "stream { chunk = 320 ms }",
        ),
    ),
    Entry(
        "MCT0207",
        "an audio section that can't be",
        "The frames of a stream are neither centred nor made with what is known at the end of a recording (`decades`,"
        " and `normalise` over it), a window is not longer than its FFT, and lengths are whole samples. The section is"
        " about an input `mel`, whose rate is that of `hop`: 100 frames a second unless it says otherwise; or about an"
        " input `samples`, which takes them as they are, and then it says nothing but `rate`.",
        plain_model(
            "component c(mel: f32[T, 80]) -> f32[T, 8] { return linear(mel, 8) }",
            "stream { chunk = 320 ms }",
            "audio { fft = 300 }",
        ),
    ),
    Entry(
        "MCT0208",
        "a number that fp16 can't hold",
        "Core ML packages and Core AI assets store numbers in fp16, which has none above 65504 and none between 0 and"
        " 6e-8. What keeps a logarithm, a root or a quotient from zero may be smaller, `log(x + 1e-10)`, and so may the"
        " epsilon of a norm: both are written as products of numbers that fp16 has. A mask that is added before a"
        " softmax may be as large as you like: it becomes one of 3e4. Anything else has to be in range: leave it out,"
        " scale what it is used with, or write another number.",
        plain_model("component c(x: f32[T, 8]) -> f32[T, 8] { return x * 1e-9 }", "stream { chunk = 320 ms }"),
    ),
    Entry(
        "MCT0209",
        "what a component that takes one label a call can't do",
        "A component that goes along time and takes labels too, as a joiner does, is called with a chunk of frames and"
        " one label. An op along its labels (a softmax or a sum over them, a recurrent layer, attention to them) would"
        " see that one alone. Do it in a component without time, which goes label by label and carries what it needs,"
        " or give the labels a fixed extent, `dim U: label = 16`: then a call takes all of them. Labels of two"
        " dimensions, or a fraction of a label, can't come one a call either.",
        plain_model(
            "dim U: label",
            "component c(x: f32[T, 8], y: f32[U, 8]) -> f32[T, U, 8] { return softmax(x + y, U) }",
            "stream { chunk = 320 ms }",
        ),
    ),
    Entry(
        "MCT0210",
        "an op that can't take the frames of a call",
        "What the spec leaves open, such as how long an utterance is, is known for a call: a table of positions has a"
        " row for each of its frames.",
        plain_model(
            "component c(x: f32[T, 8]) -> f32[T, 8] {",
            "    param places: f32[4, 8]",
            "    return x + positional_embedding(x, places)",
            "}",
            "utterance { length = 16 frames }",
        ),
    ),
    Entry(
        "MCT0211",
        "a call that would take too much audio",
        "A call takes at most 600 seconds of audio, or 1,048,576 frames where the time dimension has no rate. A stream"
        " takes a chunk a call, most often less than a second of it; --chunk of `mctc build` asks for another one.",
        plain_model("component c(x: f32[T, 8]) -> f32[T, 8] { return linear(x, 8) }", "stream { chunk = 100_000 s }"),
    ),
    Entry(
        "MCT0212",
        "a call that becomes very many ops",
        "A warning: one call of a block becomes more than 1,000 ops, each of which every target takes one by one: a"
        " package that compiles for minutes, and a step that no app waits for. `top_k(x, 100)` finds one entry after"
        " the other. Ask for fewer, or give what is chosen from as a result, and leave the choice to the app.",
        plain_model(
            "component c(x: f32[T, 256]) -> f32[T, 100] { values, places = top_k(x, 100); return values }",
            "stream { chunk = 320 ms }",
        ),
    ),
)
