"""Sound in files that libsndfile does not read, known by how they begin, so that they are not called corrupt."""

from __future__ import annotations

STARTS: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftyp", "MPEG-4 (.m4a, .mp4, .mov)"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska (.webm, .mka, .mkv)"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (.wma)"),
    (0, b"#!AMR", "AMR (.amr)"),
    (0, b"#!SILK", "SILK"),
    (1, b"#!SILK", "SILK"),
    (0, b"MAC ", "Monkey's Audio (.ape)"),
    (0, b"wvpk", "WavPack (.wv)"),
    (0, b"ADIF", "AAC (.aac)"),
    (0, b"\xff\xf1", "AAC (.aac)"),
    (0, b"\xff\xf9", "AAC (.aac)"),
    (0, b"\x0b\x77", "AC-3 (.ac3)"),
)
ENDINGS = (".m4a", ".m4b", ".aac", ".wma", ".webm", ".weba", ".mka", ".amr", ".ape", ".wv", ".ac3")
"""Of such files that hold nothing but sound, as a rule."""


def foreign(start: bytes) -> str | None:
    """What a file is that begins so, with the endings of its kind; None where that can't be told."""
    return next((name for place, mark, name in STARTS if start[place:].startswith(mark)), None)
