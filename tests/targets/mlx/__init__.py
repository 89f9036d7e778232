"""Tests of the MLX target; its packages are executed by MLX."""
