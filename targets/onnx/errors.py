"""What can go wrong while an ONNX model is written, read or executed."""

from __future__ import annotations

from mctc.diagnostics.errors import MctcError


class OnnxError(MctcError):
    """A program that has no ONNX form, a model that can't be read, or arrays that don't fit it; names the place."""
