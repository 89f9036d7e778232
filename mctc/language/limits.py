"""Limits that keep a hostile or mistaken source from using up time and memory."""

from __future__ import annotations

SOURCE_BYTES = 1_000_000
TOKENS = 100_000
NESTING = 100  # brackets and operators inside one another
LITERAL = 40  # characters of a number
NAME = 100  # characters of a name: files are named for two of them, and systems allow 255
NUMBER_BITS = 256
EXTENT = 2**31 - 1  # entries along one axis
OPS = 50_000  # elaborated ops of one program
ENTRIES = 1000  # of a list, those of lists inside it included
ARRAY = 65_536  # of `arange`
DATA_BYTES = 64_000_000  # of a file of constants, which a build keeps a copy of
DATA_ENTRIES = 1 << 22  # of a constant from a file
CHARACTERS = 10_000  # of a string
CALLS = 60  # blocks inside one another
FILES = 200  # imported files
STEPS = 200_000  # statements and expressions evaluated in one elaboration
