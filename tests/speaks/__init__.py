"""Checkpoints of public architectures, from the folder that another library saved to text."""
