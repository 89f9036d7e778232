"""What every target does alike on the way from a program to artifacts; a target adds its rules and its file format.

rules (the table of op to op, and dispatch to it) · emitter (one function, op by op, with places in errors) · ports
(inputs, states and outputs under the names of an artifact) · stored (parameters and constants, and what fp16 holds) ·
laid_out (what rules for laid-out tensors ask of an op) · skeleton (a target from these parts).
"""
