"""What a random model is trained by: objectives of every kind, weighted sums of them, heads that only train.

An objective asks that components fit each other: what the encoder gives is what the others take. So it is drawn first.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from bench.fuzz.body import Draw, Shared

TRANSDUCER = ("encoder", "predictor", "joiner")
WRITER = ("encoder", "decoder")
OF = {TRANSDUCER: ("rnnt", "tdt", "tdt apart"), WRITER: ("cross_entropy", "joint_ctc_attention")}
"""Objectives by the components that they train. The durations of `tdt apart` are a result of their own."""

DURATIONS = 3
FORMS = {
    "rnnt": ("rnnt(blank = 0)", "rnnt(blank = vocab)", "rnnt(fast_emit = 0.01)", "rnnt(delay_penalty = 0.001)"),
    "tdt": (
        "tdt(blank = vocab, durations = [0, 1, 2])",
        "tdt(blank = 0, durations = [0, 1, 4], sigma = 0.05)",
        "tdt(durations = [1, 2, 3], fast_emit = 0.01)",
    ),
    "cross_entropy": (
        "cross_entropy(begin = 1, end = 2)",
        "cross_entropy(begin = [1, 3], end = 2, label_smoothing = 0.1)",
    ),
    "joint_ctc_attention": (
        "joint_ctc_attention(blank = 0)",
        "joint_ctc_attention(ctc_weight = 0.5, label_smoothing = 0.1)",
    ),
    "ctc": ("ctc(blank = 0)", "ctc(blank = 5)", "ctc(zero_infinity = true)"),
}
HEADS = (
    "utterance_classes(of = {of}, classes = 5, targets = speaker)",
    "utterance_classes(of = {of}, classes = 5, targets = speaker, label_smoothing = 0.1)",
    "frame_classes(of = {of}, classes = 4, targets = phone, dropout = 0.1)",
    "ctc(of = {of}, classes = 7, targets = phones)",
    "ctc(of = {of})",
)


def objective_of(draw: Draw, kinds: Sequence[str]) -> str | None:
    """An objective that a model of these components shall have; none in half of them."""
    known = OF.get(tuple(kinds), ())
    return draw(st.sampled_from([*[None] * len(known), *known])) if known else None


def trained(shared: Shared, objective: str | None, heard: Sequence[str]) -> list[str]:
    """The section. objective: its name in FORMS. heard: what heads may read, as `of` names it."""
    if objective is None:
        return []
    draw = shared.draw
    main = draw(st.sampled_from(FORMS[objective.removesuffix(" apart")]))
    told = draw(st.sampled_from(["one", "one", "sum", "beside", "both"] if heard else ["one"]))
    lines = [f"objective = {main}"]
    if told in ("sum", "both"):
        heads = draw(st.lists(st.sampled_from(HEADS), min_size=1, max_size=2, unique=True))
        terms = [f"{w} * {head.format(of=draw(st.sampled_from(heard)))}" for w, head in zip(("0.1", "0.25"), heads)]
        lines = [f"objective = {draw(st.sampled_from(['', '0.5 * ']))}{' + '.join([main, *terms])}"]
    if told in ("beside", "both"):
        lines.append(f"auxiliary = ctc(of = {draw(st.sampled_from(heard))}, weight = 0.3)")
    return [f"train {{ {'; '.join(lines)} }}"]
