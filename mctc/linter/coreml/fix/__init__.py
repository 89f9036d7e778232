"""`mctc lint --fix`: what can be repaired in a package without changing its numbers, proven before it is kept.

body (a function's messages, to be edited) · repairs (one function each, by the code of the rule whose cause it removes)
· proof (the evaluator before and after, bit for bit) · apply (a package in, a repaired one in its place or nothing).
"""
