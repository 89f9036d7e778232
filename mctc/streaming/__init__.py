"""Streaming: deriving the step function of a component from time behaviours, and running it over chunks.

timing (delays and receptive fields) · context (state that holds past frames) · derive (whole -> step) ·
run (chunks through a step).
"""
