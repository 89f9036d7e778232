"""The checks are checked: faults put into mctc on purpose, each of which a named test has to find.

`fault` (what a fault is) · `faults` (the table, a file for each part of the project) · `overlay` (the sources with one
fault in them) · `runner` (a child process a fault) · `document` (docs/mutation.md).
`python -m tests.mutation NAME ...` seeds some of them and tells what the checks say.
"""
