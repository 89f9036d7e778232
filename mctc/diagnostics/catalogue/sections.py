"""The sections of a model: MCT0140 to MCT0169."""

from __future__ import annotations

from mctc.diagnostics.catalogue.entry import Entry, in_model, plain_model

ENTRIES = (
    Entry(
        "MCT0140",
        "an unknown section",
        "A model has the sections train, stream, utterance, audio, tokens, passes and quantize.",
        in_model("strem { chunk = 320 ms }"),
    ),
    Entry(
        "MCT0141",
        "an unknown setting",
        "`train` has `objective`; `stream` has `chunk`; `utterance` has `length`, `labels` and `prefill`; `audio` has"
        " what docs/audio.md lists, such as `fft` and `normalise`; `tokens` has `letters` and `file`.",
        in_model("stream { chnk = 320 ms }"),
    ),
    Entry(
        "MCT0142",
        "a setting with a value of another kind",
        "`chunk` is a time (320 ms) or a number of frames (32 frames), or a list of such, none twice; `objective` is a"
        " name with named arguments: rnnt(blank = 0).",
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
        "a section or a setting is written twice",
        "Put the entries of both sections into one; remove one of the settings.",
        in_model("stream { chunk = 320 ms }", "stream { chunk = 160 ms }"),
    ),
    Entry(
        "MCT0147",
        "an argument that a way to store does not take",
        "int8 and int4 take `per_channel` and `activations = 8`; a palette takes `bits` (1, 2, 3, 4, 6 or 8) and"
        " `group`, the number of output channels that share one palette. Scales for blocks of a channel would leave"
        " the Neural Engine.",
        in_model("quantize { c.**: int4(per_block) }"),
    ),
    Entry(
        "MCT0149",
        "a quantize rule that leaves weights as they are",
        "A warning: weights that the rule decides about stay in fp16, because the groups of a palette do not divide"
        " their output channels, a palette does not go with their convolution, or none of them is a matrix of 2048"
        " weights or more with 8 in a row. Or activations stay in fp16 although a rule wants them in 8 bits, or gain"
        " nothing on the device.",
        plain_model(
            "component c(x: f32[T, 64]) -> f32[T, 120] { return linear(x, 120) }",
            "stream { chunk = 320 ms }",
            "quantize { **: palette(bits = 4, group = 16) }",
        ),
    ),
    Entry(
        "MCT0150",
        "an unknown objective",
        "A model is trained by `rnnt`, `tdt`, `ctc`, `cross_entropy` or `joint_ctc_attention`. What may stand beside"
        " one of these as `auxiliary` is `ctc`.",
        in_model("train { objective = ctcc(blank = 0) }"),
    ),
    Entry(
        "MCT0151",
        "a setting that an objective does not have, or one that it lacks",
        "`rnnt` has `blank`, `fast_emit` and `delay_penalty`; `tdt` has these, `durations`, which it needs, and"
        " `sigma`; `ctc` has `blank` and `zero_infinity`; `cross_entropy` has `begin` and `end`, which it needs,"
        " `prompt`, `context`, `heading`, `label_smoothing` and `ignored`; `joint_ctc_attention` has those of `ctc`,"
        " `begin`, `end`, `label_smoothing`, `ignored` and `ctc_weight`. An auxiliary `ctc` has `of` and `weight`,"
        " which it needs, `blank`, `dropout` and `zero_infinity`. Each is given once, by its name.",
        in_model("train { objective = ctc(blnk = 0) }"),
    ),
    Entry(
        "MCT0152",
        "a setting of an objective with a value of another kind",
        "`blank`, `end`, `heading` and `ignored` are classes, whole numbers from 0 on; `begin` and `prompt` are"
        " classes or lists of them; `context` counts classes of the prompt; `label_smoothing`, `ctc_weight` and"
        " `dropout` are numbers from 0 to 1; `weight`, `sigma`, `fast_emit` and `delay_penalty` are numbers from 0 on;"
        " `durations` are a list of different whole numbers from 0 on, one of them at least 1; `zero_infinity` is true"
        " or false; `of` is a component's name or a path as a string.",
        in_model('train { objective = ctc(blank = "0") }'),
    ),
    Entry(
        "MCT0153",
        "components that do not fit the objective",
        "`rnnt` needs an encoder over time, a predictor over labels and a joiner of both; `tdt` the same, with the"
        " logits of durations behind the joiner's classes or as its second result; `ctc` a component over time with"
        " one result that has a vocabulary; `cross_entropy` an encoder and a decoder over labels whose first result"
        " has a vocabulary; `joint_ctc_attention` all of the last two. An input over time takes the result of its own"
        " name, of whichever component before it, and where none has it the encoder's first result; rename the result"
        " that it needs (`-> memory: f32[B, T, 64]`) where that is another. Two results of its name, or another"
        " component's result of the same type as the encoder's first, could each be meant: name the one. An auxiliary"
        " objective stands beside one of these, and is of a part that gives a vector of channels for each frame.",
        in_model("train { objective = ctc(blank = 0) }"),
    ),
    Entry(
        "MCT0154",
        "a class outside of the vocabulary",
        "The classes of a vocabulary of V entries are 0 to V - 1.",
        plain_model(
            "dim V: vocabulary = 30",
            "component c(x: f32[T, 8]) -> f32[T, V] { return linear(x, V) }",
            "train { objective = ctc(blank = 30) }",
        ),
    ),
    Entry(
        "MCT0155",
        "tokens that can't be read",
        "`letters` is a string or a list of strings, each different. `file` names a file beside the spec, inside of its"
        " project: a SentencePiece .model, a tokenizer.json, a vocab.json with its merges.txt, a .tiktoken, or a list"
        " with a symbol a line. The message says what is wrong with it, and in which line.",
        plain_model(
            "dim V: vocabulary = 30",
            "component c(x: f32[T, 8]) -> f32[T, V] { return linear(x, V) }",
            "train { objective = ctc(blank = 0) }",
            "stream { chunk = 320 ms }",
            'tokens { file = "pieces.model" }',
        ),
    ),
    Entry(
        "MCT0156",
        "tokens that do not fit the vocabulary",
        "A vocabulary has a class for each token, and one for the blank of the objective unless one of the tokens is no"
        " text and stands there. Without a blank it may have more classes, which are padding.",
        plain_model(
            "dim V: vocabulary = 30",
            "component c(x: f32[T, 8]) -> f32[T, V] { return linear(x, V) }",
            "train { objective = ctc(blank = 0) }",
            "stream { chunk = 320 ms }",
            'tokens { letters = "abcdefghijklmnopqrstuvwxyz" }',
        ),
    ),
    Entry(
        "MCT0157",
        "an unknown pass, an option that it does not have, or a value that it does not take",
        "`passes` holds options of passes, such as `split_dimensions.limit: 4096`: a name is written with _ for -."
        " `mctc passes NAME` lists the options of a pass with what they take. `--pass` of a build wins over the spec.",
        plain_model(
            "component c(x: f32[T, 64]) -> f32[T, 64] { return relu(x) }",
            "stream { chunk = 320 ms }",
            'passes { lower_selective_scan.form: "decoy" }',
        ),
    ),
    Entry(
        "MCT0158",
        "a dimension that there is not, that can't be cut, or that two rules cut",
        "`prune` holds shares of what goes of a dimension: `state` and `inner` of a scan, `heads` of one with a decay a"
        " head, `cells` of an LSTM or GRU, `heads` of attention, `channels` of a linear layer, an embedding or a"
        " convolution, `groups` of what has several. What is fed to a model or read of it from outside must stay: a"
        " result goes with the input that takes it where the objective of the `train` section says which that is."
        " What an op takes apart or mixes stays, too. Layers that are added to one another have their channels in"
        " common: one rule cuts them.",
        plain_model(
            "component c(x: f32[T, 64]) -> f32[T, 64] { return linear(x, 64) as p }",
            "stream { chunk = 320 ms }",
            "prune { c.p.channels: 0.5 }",
        ),
    ),
    Entry(
        "MCT0159",
        "an objective over a component that looks ahead over labels",
        "A predictor, a decoder and a joiner are trained with all labels of a text at once, and write one after"
        " another: a result that sees a label behind its own reads in training what it has to say, and waits in a"
        " stream for what nobody wrote. Let a convolution begin before its label (`pad = [2, 0]`, no `look_ahead`),"
        " attention end at it (`right = 0`), and take no sum, mean or softmax over the labels, nor reverse them.",
        plain_model(
            "dim U: label",
            "dim V: vocabulary = 30",
            "component encoder(x: f32[T, 8]) -> f32[T, 8] { return x }",
            "component decoder(token: i32[U] < V, memory: f32[T, 8]) -> f32[U, V] {",
            "    y = embedding(token, V, 8)",
            "    y = y + attention(y, memory, memory, heads = 1)",
            "    return linear(conv1d(y, 8, 3, look_ahead = 1), V)",
            "}",
            "train { objective = cross_entropy(begin = 1, end = 2) }",
        ),
    ),
)
