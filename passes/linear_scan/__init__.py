"""Recurrences of the author's own whose bodies are linear in a state: all frames of a call at once."""
