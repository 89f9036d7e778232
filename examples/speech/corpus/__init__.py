"""A synthetic English speech corpus of what Debian and PyPI hold: `python -m corpus fetch`, `python -m corpus make`."""
