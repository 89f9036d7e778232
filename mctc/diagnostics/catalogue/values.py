"""Compile-time values: MCT0070 to MCT0089."""

from __future__ import annotations

from mctc.diagnostics.catalogue.entry import Entry, in_component, in_model

ENTRIES = (
    Entry(
        "MCT0070",
        "an operator that does not fit its operands",
        "Numbers take + - * / // % ** and comparisons; tensors take + - * / @ with tensors, + - * / with numbers, and"
        " ** 2 or ** 0.5; strings and lists take +.",
        in_component('n = width + "8"', "return linear(x, n)"),
    ),
    Entry(
        "MCT0071",
        "a division by zero",
        "The divisor of a compile-time division is zero.",
        in_component("n = width // (8 - width)", "return linear(x, n)"),
    ),
    Entry(
        "MCT0072",
        "not a whole number",
        "Extents, counts and indices are whole. `/` is exact: 8 / 3 is a fraction; `//` rounds down, and `floor`,"
        " `ceil` and `round` round.",
        in_component("return linear(x, width / 3)"),
    ),
    Entry(
        "MCT0073",
        "an assert does not hold",
        "The author of the block or model states what must be true; the message is theirs.",
        in_component('assert width % 3 == 0, "width must divide by 3, not {width}"', "return x"),
    ),
    Entry(
        "MCT0074",
        "a negative number of repetitions",
        "`repeat` takes a whole number from 0 on.",
        in_component("y = x", "repeat width - 9 { y = y + x }", "return y"),
    ),
    Entry(
        "MCT0075",
        "a condition that is not true or false",
        "`if`, `assert`, `and`, `or` and `not` take truth values. Numbers are not: write `n > 0`.",
        in_component("y = x + x if width else x", "return y"),
    ),
    Entry(
        "MCT0076",
        "a function that does not fit its arguments",
        "min, max, ceil, floor, round, abs, log2, log, exp, sqrt, int and float take numbers; len and sum take lists.",
        in_component('n = ceil("8")', "return linear(x, n)"),
    ),
    Entry(
        "MCT0077",
        "an index that does not exist",
        "Entries of a list count from 0, or from -1 at its end. Only lists have entries; tensors are cut by `slice`.",
        in_component("sizes = [8, 16]", "return linear(x, sizes[2])"),
    ),
    Entry(
        "MCT0078",
        "not known before run time",
        "The value depends on a dimension such as T whose extent each utterance decides. Exact arithmetic with it works"
        " (T/4), comparison and rounding do not.",
        in_component("y = x + x if T > 100 else x", "return y"),
    ),
    Entry(
        "MCT0079",
        "an unknown unit",
        "The units are s, ms, us, Hz, kHz and frames.",
        in_model("dim S: time @ 50 hertz"),
    ),
)
