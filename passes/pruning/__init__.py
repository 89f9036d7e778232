"""Layers with fewer entries: what a `prune` section makes of a program."""
