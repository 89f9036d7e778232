"""One diagnostic code: its title, what it means and how to mend it, and a small source that has it."""

from __future__ import annotations

from mctc.records import dataclass


@dataclass(frozen=True)
class Entry:
    """`example` is a whole .mct file that has the diagnostic; empty where no file can show it."""

    code: str
    title: str
    explanation: str
    example: str = ""


def in_component(*lines: str) -> str:
    """A model whose only component holds `lines`."""
    body = "".join(f"        {line}\n" for line in lines)
    return _HEAD + "    component c(x: f32[B, T, width]) -> f32[B, T, width] {\n" + body + "    }\n}\n"


def in_model(*lines: str) -> str:
    """A complete model with `lines` behind its component."""
    body = "".join(f"    {line}\n" for line in lines)
    return _HEAD + "    component c(x: f32[B, T, width]) -> f32[B, T, width] { return layer_norm(x) }\n" + body + "}\n"


def plain_model(*lines: str) -> str:
    """A model with one time dimension and `lines`."""
    return "model m {\n    dim T: time @ 100 Hz\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


_HEAD = "model m(width = 8) {\n    dim B: batch\n    dim T: time @ 100 Hz\n"
