"""What one `mctc compress` does: a program, its weights and statistics, a budget, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mctc.atomic import write_text
from mctc.compress.errors import CompressError
from mctc.compress.frontier import Point, picture, point, table
from mctc.compress.input_scales import held_inputs
from mctc.compress.input_scales import told as told_of
from mctc.compress.layers import USUAL, forms_named, held_in_bits, is_whole, layers_of, rest_bytes, stored_as
from mctc.compress.round import EFFORTS
from mctc.compress.rules import rules_of, text_of
from mctc.compress.search import Choice, Form, Offer, chosen, frontier, within_loss, within_size
from mctc.compress.section import Edit, with_section
from mctc.compress.sensitivity import Model, offers_of, write_rounded
from mctc.compress.smoothing import NONE, Smoothing, smoothed
from mctc.compress.speech import Speech
from mctc.compress.statistics import Statistics, read_measured
from mctc.compress.trials import Trials, corrected, ranks, within_true_loss
from mctc.compress.tuning import Tuning
from mctc.diagnostics.source import SourceFile
from mctc.driver.compile import program_at
from mctc.driver.learner import Learner
from mctc.driver.load import load_program
from mctc.driver.options import BuildOptions
from mctc.ir.program import Program, QuantizeRule
from mctc.language.parser import parse_all
from mctc.language.read import Spec
from mctc.weights import Weights

Told = Callable[[str], None]
UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9}


class Session:
    """options: those of the command, by name. Raises MctcError."""

    def __init__(self, spec: Spec, options: Mapping[str, Any], told: Told) -> None:
        self.spec, self.options, self.told = spec, options, told
        self.build = BuildOptions(device=options["device"], defines=options["defines"], model=options["model"])
        program = load_program(spec, options["model"], dict(options["defines"]))
        self.program = program
        if isinstance(spec, Path) and (options["diff"] or options["write"]):
            # What can't be rewritten is told before a search of minutes.
            with_section(spec, options["model"], dict(options["defines"]), program.quantize)
        checkpoint = options["weights"]
        statistics = read_measured(options["stats"], checkpoint)
        self.rules: tuple[QuantizeRule, ...] = program.quantize
        layers = layers_of(program, self.build, forms_named(options["forms"] or USUAL))
        if not layers:
            raise CompressError(f"{program.name} has no weight that these forms suit")
        weights = Weights.load(stored_as(program, (), self.build), checkpoint)
        self.held = held_in_bits(stored_as(program, program.quantize, self.build))
        smoothing = self._smoothing(weights, statistics)
        self.model, self.rest = Model(layers, weights, statistics, smoothing), rest_bytes(program, layers, self.build)
        self.forms: dict[str, Form] = {}

    def as_written(self) -> list[str]:
        """The section that the spec has."""
        self._take(self.rules)
        return [f"{self.program.name}: the section of the spec: {self._size(self.forms) / 1e6:.3f} MB of weights"]

    def searched(self) -> list[str]:
        """The best section within the budget, and the lines that tell of it."""
        offers, lines, trials = self._suited(offers_of(self.model, self.told)), [], self._trials()
        if trials is not None:
            if self.options["rank"]:
                lines += self._ranked(offers, trials)
            offers = corrected(offers, trials, self.told)
        choice = self._chosen(offers, trials)
        self.forms, self.rules = dict(choice.forms), tuple(rules_of(self._with_activations(choice.forms)))
        points = [*(point(each, self.rest) for each in frontier(offers)), *self._uniform(offers)]
        true = None if trials is None else trials.added(choice.forms)
        points.append(point(choice, self.rest, "chosen: ", true))
        if self.options["plot"] is not None:
            write_text(self.options["plot"], picture(points, f"{self.program.name}: size against loss"))
        return [*lines, *table(points), "", *f"    {text_of(self.rules)}".splitlines()]

    def edit(self, spec: Path) -> Edit:
        """The spec with the section that was found, parsed again and proven to store every weight as chosen."""
        edit = with_section(spec, self.options["model"], dict(self.options["defines"]), self.rules)
        stored = self._stored(self.rules)
        if parse_all(SourceFile(str(spec), edit.after)).problems or stored != self.forms:
            raise CompressError("the section would not store every weight as chosen, which is a fault of mctc")
        return edit

    def write(self, out: Path, told: Told) -> list[str]:
        """The weights rounded for the section."""
        tuning = self._tuning(told) if self.options["tune"] else None  # what it can't take is told before the rounding
        held = held_inputs(self._deciding(), self.model.statistics, self.model.smoothing.factors)
        scales = {name: each.scale for name, each in held.items()}
        effort, found = EFFORTS[self.options["effort"]], {}
        for layer, each in self.model.rounded_all(self.forms, effort):
            told(layer.name)
            found[layer.name] = each
        tuned = []
        if tuning is not None:
            found, line = tuning(self.model, self.forms, found, self.options["tune"])
            tuned = [line]
        write_rounded(self.model, self.options["weights"], self.forms, found, scales, out)
        ways: dict[str, int] = {}
        for each in found.values():
            ways[each.way] = ways.get(each.way, 0) + 1
        counted = [f"  {count:3} {way}" for way, count in sorted(ways.items(), key=lambda pair: -pair[1])]
        return [*tuned, f"{out}: {len(found)} weights rounded", *counted, *told_of(held)]

    def _chosen(self, offers: list[Offer], trials: Trials | None) -> Choice:
        if self.options["size"] is not None:
            return within_size(offers, size_of(self.options["size"]), self.rest)
        loss = float(self.options["loss"])
        return within_loss(offers, loss) if trials is None else within_true_loss(offers, trials, loss, self.told)

    def _trials(self) -> Trials | None:
        if not self.options["build"]:
            return None
        (learner,), speech = self._opened(self.options["limit"])
        return Trials(self.model, learner, speech, range(len(speech.utterances)))

    def _tuning(self, told: Told) -> Tuning:
        (teacher, student), speech = self._opened(None, models=2)
        return Tuning(teacher, student, speech, told)

    def _opened(self, limit: int | None, models: int = 1) -> tuple[list[Learner], Speech]:
        """The model, so many times over, then speech: that a build has no loss is told before what one would take."""
        from mctc.compress.opened import learner_of, open_built, speech_of

        built = open_built(self.options["build"])
        learners = [learner_of(built, self.options["weights"]) for _ in range(models)]
        return learners, speech_of(built, self.options["data"], self.options["tokens"], limit)

    def _ranked(self, offers: list[Offer], trials: Trials) -> list[str]:
        bits = self.options["rank"]
        correlation, rows = ranks(offers, trials, bits, self.told)
        told = [f"  {name:48} {predicted:9.5f} {true:+9.5f}" for name, predicted, true in rows]
        head = f"each weight alone in {bits} bits, predicted and true nats; rank correlation {correlation:.2f}"
        return [head, *told]

    def _uniform(self, offers: list[Offer]) -> list[Point]:
        """Every weight in the same form, as far as it takes it; else in the largest it has."""
        found = []
        for form in dict.fromkeys(form for each in offers for form in each.bytes if form is not None):
            forms = {each.name: form if form in each.bytes else each.largest for each in offers}
            found.append(point(chosen(offers, forms), self.rest, "uniform: "))
        return found

    def _take(self, rules: tuple[QuantizeRule, ...]) -> None:
        self.forms = self._stored(rules)

    def _stored(self, rules: tuple[QuantizeRule, ...]) -> dict[str, Form]:
        """The form of each weight by rules."""
        parameters = stored_as(self.program, rules, self.build).parameters
        held = {layer.name: parameters[layer.name].quantization for layer in self.model.layers}
        return {name: None if form is None else replace(form, axis=0, activations=None) for name, form in held.items()}

    def _deciding(self) -> Program:
        """The program with its activations in as many bits as the rules say."""
        rules = replace(self.program, quantize=self.rules)
        return program_at(rules, after="quantize-activations", options=self.build)

    def _smoothing(self, weights: Weights, statistics: Statistics) -> Smoothing:
        share = self.options["smooth"]
        if share is None:
            return NONE
        found = smoothed(self._deciding(), weights, statistics, share)
        if share and not found.factors:
            raise CompressError(
                f"--smooth finds no norm in {self.program.name} that layers alone read, one of them in 8 bits",
                hint="`int8(per_channel, activations = 8)` in the quantize section holds inputs of layers in 8 bits",
            )
        return found

    def _suited(self, offers: list[Offer]) -> list[Offer]:
        """Without forms of fp16 values, for weights whose activations are codes."""
        return [each.only(is_whole) if each.name in self.held else each for each in offers]

    def _with_activations(self, forms: Mapping[str, Form]) -> dict[str, Form]:
        bits = {name: form for name, form in forms.items() if form is not None and name in self.held}
        return {**forms, **{name: replace(form, activations=self.held[name]) for name, form in bits.items()}}

    def _size(self, forms: Mapping[str, Form]) -> int:
        from mctc.compare.storage import stored_bytes

        parameters = stored_as(self.program, self.rules, self.build).parameters
        return sum(map(stored_bytes, parameters.values()))


def size_of(text: str) -> int:
    """'3.0MB' in bytes. Raises CompressError for what is no size."""
    number = text.strip().rstrip("kMGB").strip()
    unit = text.strip()[len(text.strip().rstrip("kMGB")) :]
    try:
        size = int(float(number) * UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        size = 0
    if size <= 0:
        raise CompressError(f"{text!r} is no size", hint="such as 3.0MB, 900kB")
    return size
