"""MLX packages: readable mlx.nn modules, quantised weights, a streaming session. They need mlx alone."""
