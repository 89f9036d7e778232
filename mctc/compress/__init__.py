"""Compression: statistics of a trained model, rounding that knows them, and the search for a `quantize` section."""
