"""The sections of a model: MCT0140 to MCT0169."""

from __future__ import annotations

from mctc.diagnostics.catalogue.entry import Entry, in_model

ENTRIES = (
    Entry(
        "MCT0140",
        "an unknown section",
        "A model has the sections train, stream and quantize.",
        in_model("strem { chunk = 320 ms }"),
    ),
    Entry(
        "MCT0141",
        "an unknown setting",
        "`train` has `objective`, `stream` has `chunk`.",
        in_model("stream { chnk = 320 ms }"),
    ),
    Entry(
        "MCT0142",
        "a setting with a value of another kind",
        "`chunk` is a time (320 ms) or a number of frames (32 frames); `objective` is a name with named arguments:"
        " rnnt(blank = 0).",
        in_model("stream { chunk = 320 }"),
    ),
    Entry(
        "MCT0143",
        "a quantize rule that matches nothing",
        "A warning: no parameter that the rules before it leave has a name like this. The first rule that matches a"
        " parameter decides.",
        in_model("quantize { encoder.**: int8(per_channel) }"),
    ),
    Entry(
        "MCT0144",
        "an unknown way to store a parameter",
        "A rule says int8(per_channel), int4(per_channel), palette(bits = 4, group = 16) or none.",
        in_model("quantize { c.**: int5(per_channel) }"),
    ),
    Entry(
        "MCT0145",
        "a rate that does not fit",
        "Time dimensions, and only they, have a rate in frames a second: `dim T: time @ 100 Hz`.",
        in_model("dim S: time"),
    ),
    Entry(
        "MCT0146",
        "a section is written twice",
        "Put the entries of both into one.",
        in_model("stream { chunk = 320 ms }", "stream { chunk = 160 ms }"),
    ),
    Entry(
        "MCT0147",
        "an argument that a way to store does not take",
        "int8 and int4 take `per_channel`; a palette takes `bits` (2, 4, 6 or 8) and `group`, the number of output"
        " channels that share one palette. Scales for blocks of a channel would leave the Neural Engine.",
        in_model("quantize { c.**: int4(per_block) }"),
    ),
)
