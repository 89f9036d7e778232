"""The generated pages of docs/: `python -m docs.pages` writes them from what the code declares; in no release.

__main__ (the command) · table (which pages) · ops · passes · lint_rules · lint_mps · lint_json · diagnostics ·
architectures, plot (every spec in a table, and its picture).
"""
