"""The sections of a random spec: how it is called, trained and stored."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from hypothesis import strategies as st

from bench.fuzz.body import Draw, Shared
from bench.fuzz.objectives import trained

SCHEMES = (
    "int8(per_channel)", "int8", "int4(per_channel)", "palette(bits = 8)", "palette(bits = 6)", "palette(bits = 4)",
    "palette(bits = 4, group = 8)", "int8(per_channel, activations = 8)", "none", "f32", "f32",
)  # fmt: skip
COARSE = "palette(bits = 2, group = 16)"  # nothing scales down what it costs in the logits of a shared table
LETTERS = " 'abcdefghijklmnopqrstuvwxyz01234"
RATES = (Fraction(100), Fraction(50), Fraction(25, 2))


def sections(
    shared: Shared, kinds: Sequence[str], objective: str | None, heard: Sequence[str], multiple: int, rate: Fraction
) -> list[str]:  # fmt: skip
    """objective: what it is trained by. heard: what heads that only train may read. multiple: frames that every chunk
    and utterance is a multiple of. rate: of those frames, in Hz."""
    draw, made = shared.draw, list[str]()
    if shared.streams:
        made.append(f"stream {{ chunk = {_length(draw, multiple * draw(st.sampled_from([1, 2, 4])), rate)} }}")
    limits = []
    if shared.length:
        limits.append(f"length = {_length(draw, multiple * draw(st.sampled_from([2, 3, 5])), rate)}")
    if shared.labels:
        limits.append(f"labels = {draw(st.integers(4, 9))}")
        limits += draw(st.sampled_from([[], ["prefill = 2"], ["prefill = 3"]]))
    if limits:
        made.append(f"utterance {{ {'; '.join(limits)} }}")
    return (
        made
        + _heard(shared, rate)
        + _stored(shared, kinds)
        + _said(shared, objective)
        + trained(shared, objective, heard)
    )


def _length(draw: Draw, frames: int, rate: Fraction) -> str:
    return str(draw(st.sampled_from([f"{frames} frames", f"{float(1000 * frames / rate):g} ms"])))


def _stored(shared: Shared, kinds: Sequence[str]) -> list[str]:
    draw = shared.draw
    schemes = SCHEMES if shared.table is not None else (*SCHEMES, COARSE)
    rules = draw(st.lists(st.sampled_from(schemes), max_size=3))
    patterns = [f"{draw(st.sampled_from(kinds))}.**", "**.{up*, down*, weight}", "**"]
    patterns[1] = draw(st.sampled_from(["**.weight", f"{kinds[0]}.*", "**.layers.*.**"]))
    if shared.table is not None:
        patterns.insert(0, "table")
    told = "; ".join(f"{pattern}: {scheme}" for pattern, scheme in zip(patterns, rules))
    return [f"quantize {{ {told} }}"] if told else []


def _heard(shared: Shared, rate: Fraction) -> list[str]:
    """At which rate samples are heard."""
    if not shared.samples:
        return []
    normalised = [] if shared.streams else shared.draw(st.sampled_from([[], ['normalise = "recording"']]))
    return [f"audio {{ {'; '.join([f'rate = {float(rate * shared.samples):g} Hz', *normalised])} }}"]


def _said(shared: Shared, objective: str | None) -> list[str]:
    """What classes stand for."""
    classes = shared.values["vocab"]
    if objective not in ("ctc", "rnnt", "tdt apart") or classes > len(LETTERS) or not shared.draw(st.booleans()):
        return []
    return [f'tokens {{ letters = "{LETTERS[:classes]}" }}']
