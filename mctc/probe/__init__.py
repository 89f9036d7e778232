"""Small packages that settle on a Mac what sources contest: docs/probe.md."""
