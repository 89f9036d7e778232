"""Neural networks of the older kind (NeuralNetwork.proto): shapes and multiply-accumulates of layers, and a report.

extents: arithmetic with extents that may be unknown · planes, tensors, sequences: shape rules by layer type ·
shapes: the table of them · macs · graph: rules carried through a network · notation: networks as text ·
check: the report.
"""
