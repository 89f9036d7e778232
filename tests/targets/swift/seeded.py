"""Faults that are put into the runtime of an emitted package, one after another; the proof has to find each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fault:
    """`old` in a file of the runtime becomes `new`; `found`: the check of test_faults that has to fail."""

    name: str
    file: str
    old: str
    new: str
    found: str


FAULTS = (
    Fault(
        "the last hop is dropped", "StreamSession", "held.append(frontEnd.flush())", "_ = frontEnd.flush()", "recording"
    ),
    Fault(
        "frames that look-ahead held back are dropped",
        "StreamSession",
        "if rest.count > 0 {",
        "if rest.count > 99 {",
        "ahead",
    ),
    Fault("frames before the utterance are kept", "StreamEncoder", "late -= before", "late -= before + 1", "ahead"),
    Fault(
        "padded rows are read as dense",
        "HalfPrecision",
        "let stride = outer.last?.1 ?? width",
        "let stride = width",
        "recording",
    ),
    Fault(
        "a prefix goes on from another one's state",
        "PackagedTransducer",
        "await self.state.restore(state)",
        "_ = state",
        "beam",
    ),
    Fault("the gate is left open", "CoreMLFunction", "await CoreMLGate.enter()", "_ = 0", "together"),
    Fault(
        "recognizers share a state",
        "CoreMLFunction",
        "    package func makeState() -> CoreMLState {",
        "    private lazy var shared = makeOwn()\n    package func makeState() -> CoreMLState { shared }\n"
        "    private func makeOwn() -> CoreMLState {",
        "together",
    ),
    Fault("a reset keeps the encoder's state", "StreamSession", "        await encoder.reset()\n", "", "together"),
    Fault(
        "energies are in single precision",
        "LogMel",
        "energies[bin] = settings.added ? energy + floor : max(energy, floor)",
        "energies[bin] = Double(Float(settings.added ? energy + floor : max(energy, floor)))",
        "frames",
    ),
    Fault("vDSP's factor of two is forgotten", "Spectrum", "var quarter = 0.25", "var quarter = 1.0", "frames"),
    Fault("the packed last frequency stays in the first", "Spectrum", "imaginary[0] = 0\n", "\n", "frames"),
    Fault(
        "the stream begins a hop late",
        "FrontEnd",
        "repeating: 0, count: settings.window - settings.hop)\n        last = 0",
        "repeating: 0, count: settings.window - settings.hop + 1)\n        last = 0",
        "frames",
    ),
    Fault(
        "an incomplete hop makes no frame",
        "FrontEnd",
        "(samples + hop - 1) / hop : samples / hop",
        "samples / hop : samples / hop",
        "frames",
    ),
    Fault(
        "pieces lose their last sample",
        "FrontEnd",
        "        pending += samples\n        let count",
        "        pending += samples.dropLast()\n        let count",
        "frames",
    ),
    Fault(
        "times are those of another rate",
        "StreamSession",
        "/ features.frameRate\n        endpointer",
        "/ 110\n        endpointer",
        "recording",
    ),
    Fault(
        "a word ends a frame early",
        "SpeechResult",
        "found.frames[word.last - 1] + 1",
        "found.frames[word.last - 1]",
        "recording",
    ),
    Fault(
        "a word begins at its second label",
        "SpeechResult",
        "Double(found.frames[$0.first])",
        "Double(found.frames[$0.last - 1])",
        "recording",
    ),
    Fault(
        "padding takes part in probabilities",
        "Vocabulary",
        "vDSP_maxvD(scores, 1, &highest, count)",
        "vDSP_maxvD(scores, 1, &highest, count - 1)",
        "searches",
    ),
    Fault(
        "the blank's penalty is a reward",
        "Vocabulary",
        "place[blank] -= penalty",
        "place[blank] += penalty",
        "searches",
    ),
    Fault("one symbol a frame more", "TransducerGreedy", "if symbols == rules", "if symbols > rules", "searches"),
    Fault(
        "alignments of one text are not added",
        "TransducerBeam",
        "scores[row, blank] = added(scores[row, blank], other)",
        "_ = other",
        "searches",
    ),
    Fault(
        "what is final is a label too many",
        "Utterance",
        "final: ids.count, frames",
        "final: ids.count + 1, frames",
        "searches",
    ),
    Fault(
        "logits of another block are reused",
        "Joined",
        "if history.block != block {",
        "if history.scores == nil {",
        "searches",
    ),
    Fault(
        "a broken hotword keeps its boost", "HotwordScorer", "row[label] -= open[state]", "row[label] -= 0", "searches"
    ),
    Fault("back-off weighs nothing", "NGramModel", "map { $0 + backoff }", "map { $0 + 0 * backoff }", "searches"),
    Fault("a repeated label counts twice", "CtcGreedy", "if label != last, label", "if label", "searches"),
    Fault("an utterance of silence goes on", "Endpoint", "silence >= rule.silence", "silence > 99", "pause"),
)


@contextmanager
def put_in(fault: Fault, sources: Path) -> Iterator[None]:
    """The fault in the sources of a workspace, while the context lasts. Raises AssertionError where it has no place."""
    path = sources / f"{fault.file}.swift"
    text = path.read_text(encoding="utf-8")
    assert text.count(fault.old) == 1, f"{fault.name}: {fault.file} has its place {text.count(fault.old)} times"
    path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")
