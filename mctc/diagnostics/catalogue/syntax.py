"""Syntax: MCT0020 to MCT0039."""

from __future__ import annotations

from mctc.diagnostics.catalogue.entry import Entry, in_component

ENTRIES = (
    Entry(
        "MCT0020",
        "something else was expected",
        "The text does not follow the grammar at this place. The message says what could have stood there. The rest of"
        " the file is read as if the statement were absent, so further messages are about other places.",
        in_component("y = x +", "return y"),
    ),
    Entry(
        "MCT0021",
        "a character that means nothing",
        "The character is not part of the language. Strings take double quotes, comments start with `#`, and `and`,"
        " `or` and `not` are words.",
        in_component("assert width > 4 && width < 10", "return x"),
    ),
    Entry(
        "MCT0022",
        "a string is never closed",
        'A string ends with `"` on the line that it begins on.',
        in_component('assert width > 4, "too narrow', "return x"),
    ),
    Entry(
        "MCT0023",
        "a bracket is never closed",
        "The bracket shown has no partner. Where a statement begins or a brace closes, brackets that are still open"
        " are taken as forgotten.",
        in_component("y = linear(x, width", "return y"),
    ),
    Entry(
        "MCT0024",
        "a bracket closes nothing",
        "There is no open bracket of this kind. If another kind is open, the message shows it.",
        in_component("y = linear(x, width])", "return y"),
    ),
    Entry(
        "MCT0025",
        "a malformed number",
        "An underscore may stand between two digits of a number and nowhere else: 16_000.",
        in_component("n = 16__000", "return linear(x, n)"),
    ),
    Entry(
        "MCT0026",
        "an unknown escape",
        'In strings `\\\\`, `\\"`, `\\n` and `\\t` are escapes.',
        in_component('assert width > 4, "see \\d"', "return x"),
    ),
    Entry(
        "MCT0027",
        "a result is not used",
        "A call has no effect besides its result. Bind the result to a name, or return it.",
        in_component("layer_norm(x)", "return x"),
    ),
    Entry(
        "MCT0028",
        "an unknown kind of statement",
        "A statement begins with one of the keywords or binds names: `name = value`. This word is neither.",
        in_component("parm scale: f32[width]", "return x"),
    ),
    Entry(
        "MCT0029",
        "a word of the language as a name",
        "The keywords of the language can't name things.",
        in_component("param block: f32[width]", "return x"),
    ),
    Entry(
        "MCT0030",
        "a name is too long",
        "A name has at most 100 characters: files of a build are named for models and components.",
        in_component(f"{'y' * 101} = x", "return x"),
    ),
)
