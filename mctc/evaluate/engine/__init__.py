"""The Neural Engine's arithmetic, as far as it is published: docs/engine-arithmetic.md.

arithmetic (names and families) · number (how numbers are read and rounded) · accumulator, dropped, walk (sums of
products) · contractions, integers (ops that add products) · interpolation, fitted, activations (tables) · engine (which
ops run there, and what is known of them) · tally (what sums came to).
"""
