"""Colours for specs and for the textual IR, in the pages' code."""

from __future__ import annotations

from typing import Any

KEYWORDS = (
    "and as assert block component dim else false function if import model none not or param program quantize repeat "
    "return source stream train true utterance"
)
TYPES = "f16 f32 f64 i32 i64 bool batch time label channel vocabulary feature unit"


def spec_lexer() -> Any:
    """A lexer of Pygments for .mct files and the textual IR."""
    from pygments.lexer import RegexLexer, words
    from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

    rules = [
        (r"\s+", Whitespace),
        (r"#.*|//.*", Comment.Single),
        (r'"[^"\n]*"', String),
        (words(KEYWORDS.split(), prefix=r"\b", suffix=r"\b"), Keyword),
        (words(TYPES.split(), prefix=r"\b", suffix=r"\b"), Keyword.Type),
        (r"[%@][\w.]+", Name.Variable),
        (r"\d[\d_]*(?:\.\d+)?(?:e-?\d+)?", Number),
        (r"\w+(?=\()", Name.Function),
        (r"\w+", Name),
        (r"[-+*/=<>|&!?@%~^]+", Operator),
        (r".", Punctuation),
    ]
    return type("SpecLexer", (RegexLexer,), {"name": "mct", "tokens": {"root": rules}})
