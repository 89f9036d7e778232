"""The built-in rewrite passes: one small file each, imported as `mctc.passes`, found through the entry points.

A pass says what it matches, what it builds and what it promises; `mctc passes` lists them in pipeline order.
"""
