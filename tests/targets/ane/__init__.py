"""Tests of the ane target: hand-made deployed programs (hand_made), packages on disk, coremltools' types."""
