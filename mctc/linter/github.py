"""Workflow commands: the lines of a log that GitHub shows beside the lines of a pull request."""

from __future__ import annotations


def workflow_command(level: str, message: str, properties: dict[str, str]) -> str:
    """One annotation. level: error, warning or notice. properties: title, file, line, col and so on, in this order."""
    named = ",".join(f"{name}={escaped(value, ':,')}" for name, value in properties.items())
    return f"::{level} {named}::{escaped(message)}"


def escaped(text: str, more: str = "") -> str:
    """Text that ends neither the command nor, with ':,' as `more`, a property of it."""
    for character in ("%", "\r", "\n", *more):
        text = text.replace(character, f"%{ord(character):02X}")
    return text
