"""Layers over a few frames with frames first, [1, T, 1, C]: their rows are full.

layout (which values, and how they are turned) · groups (which ops) · convolutions (how those are computed there).
"""
