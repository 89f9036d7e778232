"""What an emitted package runs on, copied byte for byte: mlx, numpy and the standard library, nothing of mctc."""
