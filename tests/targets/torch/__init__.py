"""Tests of the torch target: the emitted text, and the runtime that it is written with."""
