"""Streaming: deriving the step function of a component from time behaviours, and running it over chunks.

timing (delays and receptive fields) · context (state that holds past frames) · derive (whole -> step) ·
derivation (op by op) · derive_loop (recurrences with a body) · run (chunks through a step).
"""
