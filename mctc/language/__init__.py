"""The language: .mct text -> syntax tree -> Program.

grammar.lark, lexer, tree and parser read; format prints; elaborate turns a file into a Program. Everything is imported
when first used, so that `mctc --help` pays for none of it.
"""
