"""The sections of a model: train, stream, utterance, audio and tokens settings, options of passes, quantize rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

from mctc.diagnostics.diagnostic import Diagnostic, Note, Severity
from mctc.diagnostics.near import did_you_mean, listing
from mctc.ir.attribute_value import AttributeValue
from mctc.ir.location import Origin
from mctc.ir.path_pattern import matches
from mctc.ir.program import PALETTE_BITS, WIDE, Program, Quantization, QuantizeRule, Section
from mctc.language import syntax as s
from mctc.language.calls import Calls
from mctc.language.failure import FaultError, fail
from mctc.language.objective import auxiliary, objective
from mctc.language.scope import Frame
from mctc.language.session import Session
from mctc.language.values import Quantity, describe

# Settings of each section and what they take: 'objective' (its name and settings), 'auxiliary' (one such or several),
# 'time' (seconds or frames), 'times' (one such or several), 'seconds', 'rate' (Hz), 'count' (a whole number of at least
# 1), 'number' (0 or more), 'flag' (true or false), 'text' (a string), 'letters' (a string or a list of them).
SETTINGS: dict[str, dict[str, str]] = {
    "train": {"objective": "objective", "auxiliary": "auxiliary"},
    "stream": {"chunk": "times"},
    "utterance": {"length": "time", "labels": "count", "prefill": "count"},
    "audio": {
        "rate": "rate", "window": "seconds", "hop": "seconds", "fft": "count", "periodic": "flag",
        "preemphasis": "number", "low": "rate", "high": "rate", "scale": "text", "area": "flag", "log": "text",
        "floor": "number", "added": "flag", "normalise": "text", "decades": "count", "centred": "flag",
        "mirrored": "flag", "partial": "flag", "shortest": "seconds", "every": "count", "zeros": "count",
        "taper": "text", "gain": "number", "by_window": "flag", "framing": "text",
    },
    "tokens": {"letters": "letters", "file": "text"},
}  # fmt: skip
SECTIONS = (*SETTINGS, "passes", "prune", "quantize")
BITS = {"int8": 8, "int4": 4}
ACTIVATION_BITS = 8

T = TypeVar("T")


class Sections:
    def __init__(self, session: Session, calls: Calls) -> None:
        self.session, self.calls = session, calls
        self.seen: dict[str, s.Section] = {}

    def run(self, node: s.Section, frame: Frame) -> None:
        """Puts what a section says into the program; each entry at fault is reported."""
        name = node.name.text
        if name not in SECTIONS:
            hint = did_you_mean(name, SECTIONS) or f"the sections are {', '.join(SECTIONS)}"
            raise fail("MCT0140", f"there is no section `{name}`", node.name.span, hint)
        if name in self.seen:
            note = Note("it is written here first", self.seen[name].name.span)
            raise fail("MCT0146", f"section `{name}` is written twice", node.name.span, "put both into one", note)
        self.seen[name] = node
        if name == "quantize":
            rules = self._each(node, lambda item: self._rule(item, frame))
            self.session.program.quantize = tuple(rules)
            return
        if name == "passes":
            self.session.program.passes = self._passes(node, frame)
            return
        if name == "prune":
            self.session.program.prune = self._pruned(node, frame)
            return
        first: dict[str, s.Identifier] = {}
        settings = dict(self._each(node, lambda item: self._setting(name, item, frame, first)))
        if isinstance(terms := settings.pop("objective", None), dict):
            told = [part.pop("auxiliary", ()) for part in (terms, settings)]
            further = tuple(each for part in told if isinstance(part, tuple) for each in part)
            settings = {**terms, **settings, **({"auxiliary": further} if further else {})}
        places = {key: found.span.place for key, found in first.items()}
        if isinstance(chunks := settings.get("chunk"), tuple):
            settings["chunk"], *others = chunks
            settings |= {"latencies": tuple(others)} if others else {}
        section = Section(settings, places)
        setattr(self.session.program, name, section)
        if "letters" in settings and "file" in settings:
            note = Note("the letters are here", first["letters"].span)
            raise fail("MCT0155", "tokens are letters or a file's, not both", first["file"].span, "remove one", note)
        longest, ahead = section.count("labels"), section.count("prefill")
        if longest is not None and ahead is not None and ahead > longest:
            message = f"a prefill of {ahead} labels is longer than an utterance of at most {longest}"
            raise fail("MCT0142", message, first["prefill"].span, f"at most {longest}")

    def _each(self, node: s.Section, convert: Callable[[s.Statement], T]) -> list[T]:
        out = []
        for item in node.body.statements:
            try:
                out.append(convert(item))
            except FaultError as failure:  # one bad entry hides no other
                self.session.report(failure.diagnostic)
        return out

    def _setting(
        self, section: str, item: s.Statement, frame: Frame, first: dict[str, s.Identifier]
    ) -> tuple[str, AttributeValue]:
        """A setting's name and value. `first` are the settings before it."""
        if not isinstance(item, s.Assign) or len(item.targets) != 1:
            hint = f"`{section}` holds settings: `name = value`"
            raise fail("MCT0045", f"this can't stand in a {section} section", item.span, hint)
        name, known = item.targets[0], SETTINGS[section]
        if name.text not in known:
            hint = did_you_mean(name.text, known) or f"it has {', '.join(known)}"
            raise fail("MCT0141", f"`{section}` has no setting `{name.text}`", name.span, hint)
        if first.setdefault(name.text, name) is not name:
            note = Note("it is set here first", first[name.text].span)
            raise fail("MCT0146", f"`{name.text}` is set twice", name.span, "remove one of them", note)
        if known[name.text] == "objective":
            return name.text, objective(item.value, self.calls.evaluator, frame)
        if known[name.text] == "auxiliary":
            return name.text, auxiliary(item.value, self.calls.evaluator, frame)
        if known[name.text] == "count":
            return name.text, self._count(item.value, frame)
        if known[name.text] == "flag":
            return name.text, self._flag(item.value, frame)
        if known[name.text] == "number":
            return name.text, self._number(item.value, frame)
        if known[name.text] in ("text", "letters"):
            return name.text, self._text(item.value, frame, several=known[name.text] == "letters")
        if known[name.text] == "rate":
            return name.text, self._quantity(item.value, frame, "Hz", "a number of Hz", "for example `16 kHz`")
        if known[name.text] == "seconds":
            return name.text, self._quantity(item.value, frame, "s", "a length of time", "for example `25 ms`")
        if known[name.text] == "times" and isinstance(item.value, s.ListDisplay):
            return name.text, self._times(item.value, frame)
        return name.text, self._time(item.value, frame)

    def _times(self, node: s.ListDisplay, frame: Frame) -> tuple[Fraction | int, ...]:
        """Several lengths of time, none twice."""
        times = [self._time(each, frame) for each in node.items]
        if not times:
            raise fail("MCT0142", "this must be one length of time or more", node.span, "for example `[80 ms, 320 ms]`")
        for place, each in enumerate(times):
            if each in times[:place]:
                raise fail("MCT0142", "this length of time is written twice", node.items[place].span, "remove one")
        return tuple(times)

    def _count(self, node: s.Expression, frame: Frame) -> int:
        value = self.calls.evaluator.whole(node, frame, "a setting")
        if value < 1:
            raise fail("MCT0142", f"this must be at least 1, not {value}", node.span)
        return value

    def _flag(self, node: s.Expression, frame: Frame) -> bool:
        value = self.calls.evaluator.constant(node, frame, "a setting")
        if not isinstance(value, bool):
            raise fail("MCT0142", f"this must be true or false, not {describe(value)}", node.span)
        return value

    def _number(self, node: s.Expression, frame: Frame) -> float:
        value = self.calls.evaluator.constant(node, frame, "a setting")
        if isinstance(value, bool) or not isinstance(value, (int, float, Fraction)) or not 0 <= value < math.inf:
            raise fail("MCT0142", f"this must be a number of at least 0, not {describe(value)}", node.span)
        return float(value)

    def _quantity(self, node: s.Expression, frame: Frame, unit: str, wanted: str, hint: str) -> Fraction | int:
        """A quantity of a unit, at least 0; an int where it is whole."""
        value = self.calls.evaluator.constant(node, frame, "a setting")
        if not isinstance(value, Quantity) or value.unit != unit or value.value < 0:
            raise fail("MCT0142", f"this must be {wanted}, not {describe(value)}", node.span, hint)
        return int(value.value) if value.value.denominator == 1 else value.value

    def _text(self, node: s.Expression, frame: Frame, *, several: bool) -> str | tuple[str, ...]:
        """A string; where there may be several, these as a tuple."""
        value = self.calls.evaluator.constant(node, frame, "a setting")
        if isinstance(value, str) and value:
            return value
        texts = tuple(text for text in value if isinstance(text, str) and text) if isinstance(value, tuple) else ()
        if not several or not texts or texts != value:
            wanted = "a string, or a list of strings" if several else "a string"
            raise fail("MCT0142", f"this must be {wanted}, not {describe(value)}", node.span)
        return texts

    def _time(self, node: s.Expression, frame: Frame) -> Fraction | int:
        """Seconds as a fraction, or a number of frames as an int."""
        value = self.calls.evaluator.constant(node, frame, "a setting")
        if not isinstance(value, Quantity) or value.unit not in ("s", "frames") or value.value <= 0:
            hint = "for example `320 ms` or `32 frames`"
            raise fail("MCT0142", f"this must be a length of time, not {describe(value)}", node.span, hint)
        if value.unit == "s":
            return value.value
        if value.value.denominator != 1:
            raise fail("MCT0142", "a number of frames must be whole", node.span)
        return int(value.value)

    def _passes(self, node: s.Section, frame: Frame) -> Section:
        """Options of passes by 'pass.option', as written; what passes there are is known where they run."""
        first: dict[str, s.Path] = {}
        settings = dict(self._each(node, lambda item: self._pass_option(item, frame, first)))
        return Section(settings, {key: path.span.place for key, path in first.items()})

    def _pass_option(self, item: s.Statement, frame: Frame, first: dict[str, s.Path]) -> tuple[str, AttributeValue]:
        if not isinstance(item, s.Rule) or len(item.path.elements) != 2:
            hint = '`passes` holds options of passes: `lower_selective_scan.form: "decay"`'
            raise fail("MCT0045", "this can't stand in a passes section", item.span, hint)
        key = str(item.path)
        if first.setdefault(key, item.path) is not item.path:
            note = Note("it is set here first", first[key].span)
            raise fail("MCT0146", f"`{key}` is set twice", item.path.span, "remove one of them", note)
        value = self.calls.evaluator.constant(item.value, frame, "an option of a pass")
        if value is not None and not isinstance(value, (bool, int, float, str, Fraction)):
            wanted = "a number, a string, true, false or none"
            raise fail("MCT0142", f"this must be {wanted}, not {describe(value)}", item.value.span)
        return key, float(value) if isinstance(value, Fraction) else value

    def _pruned(self, node: s.Section, frame: Frame) -> Section:
        """Shares by path pattern; which dimensions there are is known where the pass runs."""
        first: dict[str, s.Path] = {}
        settings = dict(self._each(node, lambda item: self._share(item, frame, first)))
        return Section(settings, {key: path.span.place for key, path in first.items()})

    def _share(self, item: s.Statement, frame: Frame, first: dict[str, s.Path]) -> tuple[str, float]:
        if not isinstance(item, s.Rule):
            hint = "`prune` holds shares of dimensions: `encoder.**.state: 0.5`"
            raise fail("MCT0045", "this can't stand in a prune section", item.span, hint)
        key = str(item.path)
        if first.setdefault(key, item.path) is not item.path:
            note = Note("it is set here first", first[key].span)
            raise fail("MCT0146", f"`{key}` is set twice", item.path.span, "remove one of them", note)
        share = self._number(item.value, frame)
        if share >= 1:
            raise fail("MCT0142", f"a share of what goes is below 1, not {share:g}", item.value.span, "0.5 is half")
        return key, share

    def _rule(self, item: s.Statement, frame: Frame) -> QuantizeRule:
        if not isinstance(item, s.Rule):
            hint = "`quantize` holds rules: `encoder.**: int8(per_channel)`"
            raise fail("MCT0045", "this can't stand in a quantize section", item.span, hint)
        return QuantizeRule(str(item.path), self._scheme(item.value, frame), Origin(item.path.span.place))

    def _scheme(self, node: s.Expression, frame: Frame) -> Quantization | None:
        if isinstance(node, s.Word) and node.text == "none":
            return None
        name = node.callee.text if isinstance(node, s.Call) and isinstance(node.callee, s.Name) else None
        name = node.text if isinstance(node, s.Name) else name
        if isinstance(node, s.Name) and name == WIDE.scheme:
            return WIDE
        if name not in (*BITS, "palette"):
            hint = "the schemes are int8(per_channel), int4(per_channel), palette(bits = 4, group = 16), f32 and none"
            near = did_you_mean(name, [*BITS, "palette", WIDE.scheme, "none"]) if name else None
            raise fail("MCT0144", f"`{node.span.text}` is no way to store a parameter", node.span, near or hint)
        arguments = node.arguments if isinstance(node, s.Call) else ()
        if name in BITS:
            return Quantization(name, BITS[name], activations=self._activations(name, arguments, frame))
        return self._palette(node, arguments, frame)

    def _activations(self, name: str, arguments: tuple[s.Argument, ...], frame: Frame) -> int | None:
        """The bits of `activations = 8`, None where nothing but `per_channel` is given."""
        bits: int | None = None
        for argument in arguments:
            hint = f"write `{name}(per_channel)`, or `{name}(per_channel, activations = 8)`"
            if argument.name is None and argument.value == s.Name(argument.span, "per_channel"):
                continue
            if argument.name is None or argument.name.text != "activations":
                told = f"`{name}` takes nothing but `per_channel` and `activations`"
                raise fail("MCT0147", told, argument.span, hint)
            if bits is not None:
                raise fail("MCT0147", "`activations` is given twice", argument.span, "remove one of them")
            bits = self.calls.evaluator.whole(argument.value, frame, "`activations`")
            if bits != ACTIVATION_BITS:
                raise fail(
                    "MCT0147", f"activations have 8 bits, or 16 if it is left out, not {bits}", argument.span, hint
                )
        return bits

    def _palette(self, node: s.Expression, arguments: tuple[s.Argument, ...], frame: Frame) -> Quantization:
        given: dict[str, int] = {}
        for argument in arguments:
            key = argument.name.text if argument.name else ""
            if key == "activations":
                hint = "int8(per_channel, activations = 8)"
                told = "activations in 8 bits go with int8 or int4: entries of a palette are fp16, and so are products"
                raise fail("MCT0147", told, argument.span, hint)
            if key not in ("bits", "group"):
                raise fail(
                    "MCT0147", "a palette takes `bits` and `group`", argument.span, "palette(bits = 4, group = 16)"
                )
            if key in given:
                raise fail("MCT0147", f"`{key}` is given twice", argument.span, "remove one of them")
            given[key] = self.calls.evaluator.whole(argument.value, frame, f"`{key}`")
        if given.get("bits") not in PALETTE_BITS:
            raise fail("MCT0147", "a palette has 1, 2, 3, 4, 6 or 8 `bits`", node.span, "palette(bits = 4)")
        if given.get("group", 1) < 1:
            raise fail("MCT0147", "a group has at least one output channel", node.span)
        return Quantization("palette", given["bits"], given.get("group"))


def annotate(program: Program, session: Session, section: s.Section | None) -> None:
    """Warns of quantize rules that no parameter is left for, nor, of those that say `f32`, an instance."""
    if section is None or any(diagnostic.is_error for diagnostic in session.diagnostics):
        return
    paths = [item.path for item in section.body.statements if isinstance(item, s.Rule)]
    wide = {rule.pattern for rule in program.quantize if rule.is_wide}
    instances = {op.origin.path for function in program.functions.values() for op in function.ops}
    known = set(program.parameters)
    free = known | instances if wide else known
    for path in paths:
        pattern = str(path)
        hit = {name for name in free if matches(pattern, name)}
        inside = f"{pattern}.**"
        within = any(matches(inside, name) for name in known)
        if not hit & known and (within or pattern not in wide or not hit):
            every = any(matches(pattern, name) for name in known)
            message = f"`{path}` matches no parameter" + (" that the rules before it leave" if every else "")
            hint = f"parameters are, for example, {listing(sorted(known)[:2])}" if known and not every else None
            hint = f"for all parameters in it write `{inside}`" if within and not every else hint
            session.report(Diagnostic("MCT0143", message, path.span, hint, severity=Severity.WARNING))
        free -= hit
