"""`mctc lint model.mlpackage`: what will leave the Neural Engine, and why, from the package alone.

graph (a function as rules see it) · notation (small programs as text, for examples and tests) · rule, target, table
(the form of a rule, what it is checked for, all of them) · rules/ (a file a subject) · forms (what rules read off an
op) · support (which ops run at all) · check (the rules over a package) · cost, segment, placement (where ops are
predicted to run) · memory · report (one record of everything, which every format prints).
"""
