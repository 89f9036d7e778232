"""Calls, tensor types, parameters and results: MCT0090 to MCT0139."""

from __future__ import annotations

from mctc.diagnostics.catalogue.entry import Entry, in_component, in_model, plain_model

ENTRIES = (
    Entry(
        "MCT0090",
        "an argument is missing",
        "An input without a default must be given.",
        in_component("return linear(x)"),
    ),
    Entry(
        "MCT0091",
        "an unknown argument",
        "The block or op has no input of this name.",
        in_component("return linear(x, width, biass = false)"),
    ),
    Entry(
        "MCT0092",
        "too many arguments",
        "There are more arguments than inputs.",
        in_component("return rms_norm(x, 1e-5, width)"),
    ),
    Entry(
        "MCT0093",
        "an argument is given twice",
        "By position and by name, or twice by name.",
        in_component("return linear(x, width, out = 16)"),
    ),
    Entry(
        "MCT0094",
        "a tensor is needed",
        "This input takes a tensor, and a compile-time value was given.",
        in_component("return linear(width, width)"),
    ),
    Entry(
        "MCT0095",
        "a compile-time value is needed",
        "Extents, counts, conditions and settings of ops are decided when the model is compiled; a tensor is not known"
        " then.",
        in_component("return linear(x, x)"),
    ),
    Entry(
        "MCT0096",
        "a tensor with another number of axes",
        "The type in the header of the block says which axes its input has. `...` stands for any leading axes.",
        "block frame(x: f32[B, C]) { return x }\n" + in_component("return frame(x)"),
    ),
    Entry(
        "MCT0097",
        "an axis with another extent",
        "A name in the types of a header stands for one extent in one call.",
        "block sum_of(x: f32[B, T, C], y: f32[B, T, C]) { return x + y }\n"
        + in_component("return sum_of(x, linear(x, 16))"),
    ),
    Entry(
        "MCT0098",
        "a tensor of other entries",
        "The element type of the argument is not the one in the header of the block.",
        in_component("return embedding(x, 10, width)"),
    ),
    Entry(
        "MCT0099",
        "a result that is not what is declared",
        "The type behind `->` is compared exactly with what the body computes; the message shows both.",
        in_component("return linear(x, 2 * width)"),
    ),
    Entry(
        "MCT0100",
        "another number of results",
        "Each result of a call is bound to a name, `a, b = split(x, 2)`, or all are bound to one, as a list: "
        "`parts = split(x, n)`, `parts[0]`. Inside an expression a call has one result.",
        in_component("a, b, c = split(x, 2)", "return concat(a, b)"),
    ),
    Entry(
        "MCT0101",
        "nothing is returned",
        "Components and blocks end with `return`, in every branch that is taken.",
        in_component("y = layer_norm(x)"),
    ),
    Entry(
        "MCT0102",
        "a return in the wrong place",
        "A return ends a body, so nothing follows it, and it can't stand in a `repeat`.",
        in_component("repeat 2 { return x }", "return x"),
    ),
    Entry(
        "MCT0103",
        "an op that does not fit its operands",
        "The op itself says what is wrong; the note shows the types that it was given. docs/ops.md describes each op.",
        in_component("return x + linear(x, 16)"),
    ),
    Entry(
        "MCT0104",
        "`as` behind an op",
        "`as` names the instance of a block in the path of its parameters. Ops have no parameters of their own.",
        in_component("return relu(x) as act"),
    ),
    Entry(
        "MCT0105",
        "a path element is taken",
        "Within one instance each block and parameter has its own name, so that a parameter has one full name.",
        in_component("y = linear(x, width) as proj", "return linear(y, width) as proj"),
    ),
    Entry(
        "MCT0106",
        "a parameter without a fixed shape",
        "A parameter is trained once for utterances of all lengths: its shape can't depend on time, label or batch.",
        in_component("param position: f32[T, width]", "return x + position"),
    ),
    Entry(
        "MCT0107",
        "an unknown initialiser",
        "A parameter starts from a number or a rule: zeros(), ones(), constant(value), uniform(bound), normal(std),"
        " truncated_normal(std, cut), kaiming_uniform(fan_in, gain), kaiming_normal(fan_in, gain),"
        " xavier_uniform(fan_in, fan_out, gain), xavier_normal(fan_in, fan_out, gain), orthogonal(gain, parts),"
        " log_arange(), delta_bias(low, high). Without one, matrices and kernels start from kaiming_uniform and vectors"
        " from zeros.",
        in_component("param scale: f32[width] = gaussian(std = 1)", "return x * scale"),
    ),
    Entry(
        "MCT0108",
        "entries that can't be limited here",
        "What entries may be (`in {0, 1}`, `in [-1, 1]`, `> 0`) is said behind the type of a component's input, where"
        " it is of numbers. Elsewhere `< n` says which token ids an i32 tensor holds, and nothing else is said.",
        plain_model("component c(x: f32[T, 8]) -> f32[T, 8] < 5 { return layer_norm(x) }"),
    ),
    Entry(
        "MCT0109",
        "a dimension is bound again",
        "The name of a dimension means the dimension everywhere in its model.",
        in_component("T = 5", "return x"),
    ),
    Entry(
        "MCT0110",
        "a model without a component",
        "Components are what a model computes: at least one.",
        plain_model(),
    ),
    Entry(
        "MCT0111",
        "an input of the wrong kind",
        "The inputs of a component are tensors without defaults: they are the interface of what is shipped. The header"
        " of a model holds compile-time values.",
        plain_model("component c(x: f32[T, 8], depth = 2) -> f32[T, 8] { return layer_norm(x) }"),
    ),
    Entry(
        "MCT0112",
        "a component without a declared result",
        "The result of a component is part of its interface, so its type is written out.",
        plain_model("component c(x: f32[T, 8]) { return layer_norm(x) }"),
    ),
    Entry(
        "MCT0113",
        "a result with a name that is taken",
        "The inputs and results of a component share one set of names.",
        plain_model("component c(x: f32[T, 8]) -> x: f32[T, 8] { return layer_norm(x) }"),
    ),
    Entry(
        "MCT0114",
        "an input that can't be anything",
        "What the entries of an input may be is told by numbers that are known when the model is compiled, whole ones"
        " for i32: a set `in {0, 1}`, a range `in [-1, 1]` with both ends, or limits `> 0 and <= 1`, one a side.",
        plain_model("component c(x: f32[T, 8] in [1, -1]) -> f32[T, 8] { return layer_norm(x) }"),
    ),
    Entry(
        "MCT0115",
        "ids without a row",
        "An embedding takes rows of its table by ids from 0 on. What the input of ids may be has to end where the table"
        " does; an input of which nothing is said ends there by itself.",
        plain_model("component c(id: i32[T] >= 0) -> f32[T, 8] { return embedding(id, 10, 8) }"),
    ),
    Entry(
        "MCT0116",
        "a mask of other numbers",
        "A warning: a mask says which frames exist, by 1 and 0, and what an op does with another number is not defined:"
        " targets differ there. What is computed from masks by products, `1 - m`, slices and the like is one, and so is"
        " what a cast makes of true and false; otherwise the inputs have to be said to be whole or `in {0, 1}`.",
        in_component('return attention(x, x, x, sigmoid(reduce_mean(x, axis = "channel")), heads = 2)'),
    ),
    Entry(
        "MCT0117",
        "a state that does not fit its scan",
        "`scan h: f32[B, T, width] { ... }` runs along the time or label axis of its states. In the body `h` is the"
        " state of the frame before; the body binds it anew, to a tensor of the same type. It starts from zeros, or"
        " from the number or tensor behind `=`, which has no frames.",
        in_component("scan h: f32[B, T, width] { h = concat(h, x) }", "return h"),
    ),
    Entry(
        "MCT0118",
        "several frames of a state",
        "In a scan what depends on a state is computed frame by frame, so nothing can look at other frames of it: no"
        " convolution over time, no reduction over frames, no other recurrence. What depends on no state may; but a"
        " block that reads a state runs frame by frame as a whole, so what looks at other frames stands outside of it.",
        in_component("scan h: f32[B, T, width] { h = x + conv1d(h, width, 3) }", "return h"),
    ),
    Entry(
        "MCT0148",
        "a dimension without an extent",
        "Utterances decide how many frames and labels there are; channels, features and classes are fixed.",
        in_model("dim F: feature"),
    ),
)
