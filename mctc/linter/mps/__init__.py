"""`mctc lint --mps`: what in PyTorch training code fails, slows down or misleads on a Mac's GPU.

scopes (what a name stands for) · flow (which binding reaches a place) · code (a parsed file: names, guards, loops) ·
training (what is a step of training, what is now and then) · tensors (what lies on the device) · widths (what is
float64) · program (several files as one) · calls (what a training step calls) · suites (what is a test) · environment
(variables that a file sets) · requirements (the torch that a project asks for) · rule (the form of a rule) · rules/ (a
file a subject) · table (all of them) · check (files in, diagnostics out) · noqa (comments that silence a line) ·
catalogue (the rules as text) · formats/ (how findings are printed).
A checked file is parsed, never run, and torch is never imported.
"""
