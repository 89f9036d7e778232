"""What computations are fed, how their results are compared, and how far they may differ.

battery (the inputs) · sizes (extents for symbols) · parameters (values of a program, kept) · difference (of results) ·
limits (how large it may be) · undefined (which op is the first that is not finite).
"""
