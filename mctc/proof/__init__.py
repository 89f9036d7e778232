"""Whether an artifact computes what its program says: inputs, reference, comparison, limits and the rows that tell.

Builds, `--verify-each`, `mctc verify`, the fuzzer, tests and benchmarks all ask here. A target supplies an engine and
nothing else: what it is fed and how far it may be off (mctc.numerics) and what it is measured against (subject) are
the same for all of them.
"""
