"""Tests of step derivation: random programs, what a step promises, and when it must refuse."""
