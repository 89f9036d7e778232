"""A plugin package for mctc with one pass in it, `fuse-silu`."""
