"""Imports, definitions and names: MCT0040 to MCT0069."""

from __future__ import annotations

from mctc.diagnostics.catalogue.entry import Entry, in_component, in_model

ENTRIES = (
    Entry(
        "MCT0040",
        "an import is not found",
        "An import is looked up beside the importing file, then in the library that mctc ships.",
        'import "lib/mambo.mct"\n',
    ),
    Entry(
        "MCT0041",
        "an import outside of the project",
        "Imports stay inside the project (the nearest folder with .git or pyproject.toml, else the folder of the file)"
        " and the library, also through symbolic links: a spec can be read without reading the whole disk.",
        'import "../../elsewhere/blocks.mct"\n',
    ),
    Entry(
        "MCT0042",
        "files import one another",
        "The message shows the loop. Move what both need into a third file that imports neither.",
        'import "MCT0042.mct"\n',
    ),
    Entry(
        "MCT0043",
        "a name is defined twice",
        "Blocks, models, dimensions, components and the inputs of a component each need their own name.",
        "block twice(x: f32[..., C]) { return x }\nblock twice(x: f32[..., C]) { return x + x }\n",
    ),
    Entry(
        "MCT0044",
        "a name is imported and defined",
        "A definition has the name of one that is imported, or two imports bring the same name. Rename one of them."
        " Names of the prelude, which needs no import, may be defined again.",
        'import "lib/mamba.mct"\nblock mamba(x: f32[..., C]) { return x }\n',
    ),
    Entry(
        "MCT0045",
        "a statement in the wrong place",
        "Files hold imports, blocks and models; models hold dimensions, components and sections; components and blocks"
        " hold bindings, `param`, `repeat`, `if`, `assert` and `return`.",
        in_component("dim U: label", "return x"),
    ),
    Entry(
        "MCT0050",
        "an unknown name",
        "Nothing of this name is bound here. A block sees its inputs, the names of the axes in their types, and what it"
        " binds itself; a component also sees the values and dimensions of its model.",
        in_component("return layer_norm(x) + residul"),
    ),
    Entry(
        "MCT0051",
        "an unknown block or op",
        "A call means a block of the file, of its imports or of the prelude, else an op. `op.name` is always the op.",
        in_component("return layernorm(x)"),
    ),
    Entry(
        "MCT0052",
        "an unknown element type",
        "The element types are f32, f16, i32 and bool. Specs say f32; what a package stores is for the target to say.",
        in_component("param scale: f23[width]", "return x"),
    ),
    Entry(
        "MCT0053",
        "an unknown role",
        "A dimension is batch, time, label, channel, feature or vocabulary. Layout and streaming follow from it.",
        in_model("dim U: lable"),
    ),
    Entry(
        "MCT0054",
        "an unknown model",
        "The model that `--model` or a variant names is not there.",
        in_model() + "model n = mm(width = 16)\n",
    ),
    Entry(
        "MCT0055",
        "an unknown value of a model",
        "`-D name=value` and variants set values in the header of a model.",
        in_model() + "model n = m(widht = 16)\n",
    ),
    Entry(
        "MCT0056",
        "an override that is no value",
        '`-D` takes a number of moderate size, true, false, none, a word, or a list of them: `-D "factors=[1, 2, 4]"`.',
    ),
    Entry(
        "MCT0057",
        "a file without a model",
        "A build needs a model. `mctc check` also takes files that hold blocks only.",
    ),
    Entry(
        "MCT0058",
        "a block calls itself",
        "The message shows the loop. Blocks are expanded where they are called, so one can't contain itself: `repeat`"
        " stacks a block.",
        "block a(x: f32[..., C]) { return b(x) }\nblock b(x: f32[..., C]) { return a(x) }\n"
        + in_component("return a(x)"),
    ),
    Entry(
        "MCT0059",
        "a name is never used",
        "A warning: the binding can go, or something else was meant. Names that begin with `_` are exempt.",
        in_component("y = layer_norm(x)", "return x"),
    ),
    Entry(
        "MCT0060",
        "a block as a value, or a value as a block",
        "Blocks are called: `name(...)`. Tensors and compile-time values are not, and nothing but `op` has members.",
        in_component("return x(width)"),
    ),
    Entry(
        "MCT0061",
        "a file of constants that can't be read",
        'constant(file = "mean.npy") is the array of a .npy file, constant(file = "front.safetensors", tensor = "mel")'
        " one of a safetensors file. A file is looked up beside the file of the call, beside the spec, and in mctc's"
        " library, inside the project as imports are. A build keeps a copy of it, and its manifest the hash.",
        in_component('return x - constant(file = "mean.npy")'),
    ),
    Entry(
        "MCT0062",
        "a file of constants of another shape or type",
        "`shape`, `dtype` and `roles` of a constant from a file have to fit what the file holds: numbers of type f32,"
        " i32 or bool (wider ones are narrowed), a role for each axis, at most 4,194,304 entries.",
    ),
    Entry(
        "MCT0063",
        "numbers in a file that no constant can have",
        "Entries are finite f32 numbers, or whole numbers of i32. NaN or infinity would spread through all that is"
        " computed of them; a float64 beyond 3.4e38 has no f32.",
    ),
)
