"""Checks of what goes onto Apple silicon: training code for the GPU (`mps`)."""
