"""Passes: what one is, how it rewrites a function, how passes are ordered, run and validated."""
