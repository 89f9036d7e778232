"""Faults in the runtime of an emitted package; the proof has to find each.

All are compiled at once: each place asks `SEEDED`, a variable of the environment, whether its fault is on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SWITCH = """import CoreML
import Foundation

/// The fault that is on.
let seeded = Int(ProcessInfo.processInfo.environment["SEEDED"] ?? "") ?? -1

@CoreMLGate
enum SharedStates {
    private static var states: [ObjectIdentifier: MLState] = [:]

    static func state(of model: MLModel) -> MLState {
        let state = states[ObjectIdentifier(model)] ?? model.makeState()
        states[ObjectIdentifier(model)] = state
        return state
    }
}
"""


@dataclass(frozen=True)
class Fault:
    """`old` in a file of the runtime, an expression or with `statement` a statement, becomes `new`; `found`: the check
    (checks.py) that has to fail."""

    name: str
    file: str
    found: str
    old: str
    new: str
    statement: bool = False


def _statement(name: str, file: str, found: str, old: str, new: str = "_ = 0") -> Fault:
    return Fault(name, file, found, old, new, statement=True)


SECONDS_OF_A_FRAME = "Double(encoder.chunk) / Double(encoder.encodedFrames) / "
GIVEN = "before..<min(encoded.count, before + max(0, total - given))"
ENERGY = "settings.added ? energy + floor : max(energy, floor)"
SILENCE_BEFORE = "pending = [Double](repeating: 0, count: settings.window - settings.hop"
YIELDS = "            told.yield(.interrupted)"

FAULTS = (
    _statement("the last hop is dropped", "EncodedStream", "recording", "hold { $0.flush() }"),
    Fault("frames held back are dropped", "EncodedStream", "ahead", "rest.count > 0", "rest.count > 99"),
    Fault("frames before the utterance stay", "StreamEncoder", "ahead", GIVEN, GIVEN.replace("before", "0")),
    Fault(
        "frames that do not exist are heard", "StreamEncoder", "ahead",
        "$0 * encodedFrames < whole * marks", "$0 >= 0",
    ),
    Fault("padded rows are read as dense", "HalfPrecision", "recording", "outer.last?.1 ?? width", "width"),
    _statement("a prefix goes on elsewhere", "PackagedTransducer", "beam", "await self.state.restore(state)"),
    _statement("the gate is left open", "CoreMLFunction", "together", "await CoreMLGate.enter()"),
    _statement(
        "a package keeps its queue for itself", "CoreMLGate", "beside",
        "setenv(name, String(UInt(bitPattern: own.toOpaque())), 0)",
    ),
    Fault(
        "recognizers share a state", "CoreMLFunction", "together", "model.makeState()", "SharedStates.state(of: model)"
    ),
    _statement("a reset keeps the encoder's state", "EncodedStream", "together", "await encoder.reset()"),
    Fault(
        "each buffer has a converter", "BufferConverter", "buffers",
        "converter?.inputFormat != buffer.format", "true",
    ),
    _statement("the tail in the converter is lost", "SoundStream", "microphone", "if !rest.isEmpty { take(rest) }"),
    _statement("an interrupted session stays inactive", "Microphone", "microphone", "try shared.setActive(true)"),
    _statement(
        "an interruption ends no utterance", "Microphone", "microphone", f"endUtterance()\n{YIELDS}", YIELDS,
    ),
    _statement("times begin anew behind an utterance", "EncodedStream", "utterances", "before = heard"),
    Fault("energies are in single precision", "LogMel", "frames", ENERGY, f"Double(Float({ENERGY}))"),
    Fault("vDSP's factor of two is forgotten", "Spectrum", "frames", "0.25", "1.0"),
    Fault(
        "filters are a frequency off", "LogMel", "frames",
        "settings.filterStarts[bin]", "settings.filterStarts[bin] + 1",
    ),
    _statement("a stream begins late", "FrontEnd", "frames", f"{SILENCE_BEFORE})", f"{SILENCE_BEFORE} + 1)"),
    Fault(
        "an incomplete hop makes no frame", "FrontEnd", "frames",
        "partial ? (samples + hop - 1) / hop : samples / hop", "samples / hop",
    ),
    _statement(
        "blocks lose a sample", "FrontEnd", "frames", "pending.removeFirst(count * settings.hop)",
        "pending.removeFirst(min(pending.count, count * settings.hop + 1))",
    ),
    Fault(
        "times are of another rate", "EncodedStream", "recording",
        f"{SECONDS_OF_A_FRAME}features.frameRate", f"{SECONDS_OF_A_FRAME}110",
    ),
    Fault(
        "a word ends a frame early", "SpeechResult", "recording",
        "found.frames[word.last - 1] + 1", "found.frames[word.last - 1]",
    ),
    Fault(
        "a word begins at its last label", "SpeechResult", "recording",
        "found.frames[$0.first]", "found.frames[$0.last - 1]",
    ),
    Fault("silence ends no utterance", "Endpoint", "pause", "silence >= rule.silence", "silence > 99"),
    _statement(
        "the last label has no probability", "Vocabulary", "searches",
        "vDSP_sveD(exponentials.baseAddress!, 1, &sum, count)",
        "vDSP_sveD(exponentials.baseAddress!, 1, &sum, count - 1)",
    ),
    _statement(
        "the blank's penalty is a reward", "Vocabulary", "searches",
        "place[blank] -= penalty", "place[blank] += penalty",
    ),
    Fault(
        "one symbol a frame more", "TransducerGreedy", "searches",
        "symbols == rules.settings.maxSymbols", "symbols > rules.settings.maxSymbols",
    ),
    _statement(
        "alignments are not added", "TransducerBeam", "searches",
        "scores[row, blank] = added(scores[row, blank], other)",
    ),
    Fault("a hypothesis waits too little", "TimeSynchronousBeam", "searches", "frames + duration", "frames + 1"),
    Fault("a label too many is final", "Utterance", "searches", "final: ids.count", "final: ids.count + 1"),
    Fault("old logits are used again", "Joined", "searches", "history.block != block", "history.scores == nil"),
    Fault("fusion forgets labels before", "History", "searches", "self.fused + (adds?[label] ?? 0)", "self.fused"),
    _statement("a broken hotword keeps its boost", "HotwordScorer", "searches", "row[label] -= open[state]"),
    Fault("back-off weighs nothing", "NGramModel", "searches", "$0 + backoff", "$0 + 0 * backoff"),
    Fault("a repeated label counts twice", "CtcGreedy", "searches", "label != last", "label >= 0"),
    Fault(
        "a repeated label needs no blank", "CtcBeam", "searches",
        "ends[row].blank + scores[start + last]", "entry.score + scores[start + last]",
    ),
)  # fmt: skip


def put_in(sources: Path) -> None:
    """Every fault into the sources of a runtime, switched off. Raises AssertionError where one has no place."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sources.glob("*.swift")}
    for number, fault in enumerate(FAULTS):
        text = texts[fault.file]
        assert text.count(fault.old) == 1, f"{fault.name}: {fault.file} has its place {text.count(fault.old)} times"
        texts[fault.file] = text.replace(fault.old, switched(number, fault))
    for name, text in {**texts, "Seeded": SWITCH}.items():
        (sources / f"{name}.swift").unlink(missing_ok=True)
        (sources / f"{name}.swift").write_text(text, encoding="utf-8")


def switched(number: int, fault: Fault) -> str:
    """A fault's place, which asks whether it is on."""
    if fault.statement:
        return f"if seeded == {number} {{ {fault.new} }} else {{ {fault.old} }}"
    label, colon, old = fault.old.rpartition("final: ")  # an argument keeps its label
    return f"{label}{colon}(seeded == {number} ? {fault.new.removeprefix(colon)} : {old})"
