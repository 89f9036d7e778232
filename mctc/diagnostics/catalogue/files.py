"""Files and limits: MCT0001 to MCT0019."""

from __future__ import annotations

from mctc.diagnostics.catalogue.entry import Entry, in_component, in_model

ENTRIES = (
    Entry(
        "MCT0001",
        "a file cannot be read",
        "The file does not exist, or this user may not read it. Check the path; it is relative to the current folder.",
    ),
    Entry(
        "MCT0002",
        "not a file",
        "A folder, device or pipe was named where a .mct file is needed.",
    ),
    Entry(
        "MCT0003",
        "a file is not UTF-8",
        "Specs are UTF-8 text. Save the file in that encoding; the place shown is the first byte that is not.",
    ),
    Entry(
        "MCT0004",
        "a control character",
        "Control characters, and characters that change the direction of text, can hide what a source says. Remove it.",
    ),
    Entry(
        "MCT0005",
        "a file is too large",
        "Files have at most 1 MB and 100,000 words and symbols, and a model at most 200 files. A model that is larger"
        " is better written with `repeat` and blocks.",
    ),
    Entry(
        "MCT0006",
        "too many levels inside one another",
        "Brackets, operators and calls can be nested about 100 levels deep. Give a part of the expression a name, or"
        " make it a block.",
        in_component("y = " + "(" * 110 + "x" + ")" * 110, "return y"),
    ),
    Entry(
        "MCT0007",
        "a program is too large",
        "A program has at most 50,000 ops, and a function 200,000 operations behind its passes. Most often a number of"
        " repetitions, or an option of a pass, has a digit too many.",
        in_component("y = x", "repeat 1_000_000_000 { y = y + x }", "return y"),
    ),
    Entry(
        "MCT0008",
        "a number is too large",
        "Whole numbers and fractions have at most 256 bits. Compile-time arithmetic is exact, so powers grow quickly.",
        in_component("n = 10 ** 10 ** 10", "return linear(x, n)"),
    ),
    Entry(
        "MCT0009",
        "an extent is out of range",
        "An axis has between 1 and 2,147,483,647 entries, and a tensor that is computed in a call 268,435,456 at most.",
        in_model("param table: f32[10 ** 18, width]"),
    ),
    Entry(
        "MCT0010",
        "a string or list is too long",
        "Strings have at most 10,000 characters, and lists at most 1,000 entries, those of lists inside them included.",
        in_component("s = [0]", "repeat 20 { s = s + s }", "return linear(x, len(s))"),
    ),
)
