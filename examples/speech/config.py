"""What a run is told: a TOML file, each value of which the command line can replace by `section.key=value`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHOICES = {
    "store": ("auto", "device", "file"),
    "strategy": ("ddp", "fsdp"),
    "precision": ("auto", "float32", "bfloat16"),
}


class ConfigError(ValueError):
    """A setting that is not known, of the wrong type, or impossible; the message names its key."""


@dataclass(frozen=True)
class Model:
    training: str  # the training/ folder of a build
    start: str = ""  # .safetensors to begin with, in place of the spec's initial values
    checkpointing: bool = False  # compute activations again in the backward pass
    consistency: float = 0.0  # weight of consistency-regularised CTC; each utterance is then heard under two masks


@dataclass(frozen=True)
class Data:
    train: tuple[str, ...]  # manifests: NeMo, lhotse, Kaldi
    tokens: str  # what mctc build --tokens takes
    dev: tuple[str, ...] = ()
    sample_rate: int = 16_000
    store: str = "auto"  # the samples lie on the device, in a file, or (auto) on the device if half of it is enough
    cache: str = ""  # folder of the file; the run's own unless named


@dataclass(frozen=True)
class Batch:
    seconds: float = 900.0  # of speech in a micro-batch, padding counted
    accumulate: int = 1  # micro-batches of an optimiser step, over all processes
    buckets: int = 32
    shortest: float = 0.2  # seconds; other utterances are left out
    longest: float = 24.0


@dataclass(frozen=True)
class Augment:
    """Most with the probability that it happens to an utterance."""

    speed: tuple[float, ...] = (0.9, 1.0, 1.1)  # one of them for each micro-batch
    reverberation: float = 0.4
    noise: float = 0.5
    babble: float = 0.15
    snr: tuple[float, float] = (0.0, 30.0)  # dB
    tilt: float = 0.4  # of the spectrum, up to 6 dB an octave
    telephone: float = 0.15  # 300 to 3400 Hz
    gain: float = 0.8
    level: tuple[float, float] = (-40.0, 0.0)  # dBFS of the peak, where there is gain
    vocal_tract: float = 0.1  # largest relative warp of the frequencies
    frequency_masks: int = 2
    frequency_width: int = 20  # bins
    time_masks: int = 5
    time_share: float = 0.05  # of an utterance, the widest of each


@dataclass(frozen=True)
class Optimizer:
    peak_rate: float = 2e-3
    floor: float = 0.01  # share of the peak at the end
    warm_up: int = 500  # steps
    weight_decay: float = 1e-3
    clip: float = 2.0  # norm of the gradient
    ema: float = 0.999


@dataclass(frozen=True)
class Quantize:
    from_step: int = 0  # from here on with the weights that the package will hold; 0: never
    peak_rate: float = 2e-4
    engine_from_step: int = 0  # from here on in the Neural Engine's arithmetic, and in fp32 for `auto`; 0: never
    engine_components: tuple[str, ...] = ("encoder",)  # what runs on it: `mctc build` says so


@dataclass(frozen=True)
class Distill:
    """A teacher whose outputs are learned beside the texts; weights of nats."""

    teacher: str = ""  # the training/ folder of its build; none: no teacher
    weights: str = ""  # its .safetensors
    lattice: float = 0.15  # of blank, next label and the rest, along the transducer's alignments
    sharpness: float = 1.0  # which alignments: 1 as likely as the teacher has them, 0 all alike, 30 the best one
    ctc: float = 0.0  # of the CTC posteriors of each frame
    encoder: float = 0.0  # of how far what the encoder gives is from the teacher's, in parts of its power; of one width
    layers: tuple[str, ...] = ()  # "encoder.layers.1 = encoder.layers.3": modules of student and teacher
    layer: float = 10.0  # of how unlike each of these pairs is, 0 to 1
    cache: bool = False  # keep what was said of an utterance in memory: two fp16 numbers a cell of the lattice


@dataclass(frozen=True)
class Prune:
    build: str = ""  # of the pruned spec: what it cuts becomes zero bit by bit; none: nothing is pruned
    from_step: int = 0
    until_step: int = 0  # from here on all of it is zero
    every: int = 20  # steps from one cut to the next


@dataclass(frozen=True)
class Train:
    run: str  # folder of the run
    steps: int
    seed: int = 0
    minutes: float = 0.0  # stop after so long, to go on later; 0: no limit
    log_every: int = 50
    save_every: int = 500
    dev_every: int = 1000
    keep: int = 3  # checkpoints
    device: str = ""
    precision: str = "auto"
    strategy: str = "ddp"
    graphs: bool = False  # on CUDA the encoder as graphs: faster for small models


@dataclass(frozen=True)
class Config:
    model: Model
    data: Data
    train: Train
    batch: Batch = field(default_factory=Batch)
    augment: Augment = field(default_factory=Augment)
    optimizer: Optimizer = field(default_factory=Optimizer)
    quantize: Quantize = field(default_factory=Quantize)
    distill: Distill = field(default_factory=Distill)
    prune: Prune = field(default_factory=Prune)

    def __post_init__(self) -> None:
        train, batch, engine = self.train, self.batch, self.quantize.engine_from_step
        checks = (
            (train.save_every % train.log_every == 0, "train.save_every must be a multiple of train.log_every"),
            (train.dev_every % train.log_every == 0, "train.dev_every must be a multiple of train.log_every"),
            (0 <= self.quantize.from_step < train.steps, "quantize.from_step must lie before train.steps"),
            (0 <= engine < train.steps, "quantize.engine_from_step must lie before train.steps"),
            (batch.accumulate >= 1, "batch.accumulate must be at least 1"),
            (batch.longest <= batch.seconds, "batch.longest must fit into batch.seconds"),
            (
                not (train.graphs and (train.strategy == "fsdp" or self.model.checkpointing)),
                "train.graphs is for replicas that keep their activations: without fsdp and model.checkpointing",
            ),
            (all(0.5 <= each <= 2 for each in self.augment.speed), "augment.speed must lie between 0.5 and 2"),
            *self._rules_of_distillation(),
            *self._rules_of_pruning(),
        )
        for holds, rule in checks:
            if not holds:
                raise ConfigError(rule)

    def _rules_of_distillation(self) -> tuple[tuple[bool, str], ...]:
        distill, train = self.distill, self.train
        inside = not distill.layers or not (train.graphs or self.model.checkpointing)
        others = bool(distill.ctc or distill.encoder or distill.layers)
        alone = not others and self.augment.speed == (1.0,)
        return (
            (not distill.teacher or train.strategy == "ddp", "distill.teacher is for replicas: train.strategy=ddp"),
            (inside, "distill.layers looks into the encoder: without train.graphs and model.checkpointing"),
            (not distill.cache or alone, "distill.cache is for the lattice alone, and augment.speed=[1.0]"),
            (not distill.teacher or bool(distill.weights), "distill.teacher knows nothing without distill.weights"),
            (
                not distill.teacher or bool(distill.lattice) or others,
                "distill.teacher says nothing: lattice, ctc, encoder and layers are off",
            ),
            (
                min(distill.lattice, distill.sharpness, distill.ctc, distill.encoder, distill.layer) >= 0,
                "distill: no weight is below 0",
            ),
        )

    def _rules_of_pruning(self) -> tuple[tuple[bool, str], ...]:
        prune, train = self.prune, self.train
        inside = 0 <= prune.from_step < prune.until_step <= train.steps
        return (
            (not prune.build or train.strategy == "ddp", "prune.build is for replicas: train.strategy=ddp"),
            (not prune.build or inside, "prune.from_step, prune.until_step and train.steps must follow one another"),
            (prune.every >= 1, "prune.every must be at least 1"),
        )


def read_config(arguments: Sequence[str]) -> Config:
    """The configuration of `FILE.toml section.key=value ...`. Raises ConfigError, and OSError for no such file."""
    path, *overrides = arguments
    try:
        content = tomllib.loads(Path(path).read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    for override in overrides:
        name, equals, text = override.partition("=")
        section, dot, key = name.partition(".")
        if not (equals and dot and isinstance(content.setdefault(section, {}), dict)):
            raise ConfigError(f"{override!r} is no section.key=value")
        content[section][key] = _value(text)
    sections = get_type_hints(Config)
    _refuse_unknown(content, sections, "")
    return Config(**{name: _section(kind, content.get(name, {}), name) for name, kind in sections.items()})


def changes(before: Mapping[str, Any], now: Config) -> list[str]:
    """Settings that differ from those of a checkpoint, each in a line."""
    sections = asdict(now)
    return [
        f"{name}.{key}: {before.get(name, {}).get(key)!r} before, {value!r} now"
        for name, section in sections.items()
        for key, value in section.items()
        if before.get(name, {}).get(key) != value
    ]


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a word whose quotes the shell has taken


def _section(kind: Any, table: Any, name: str) -> Any:
    if not isinstance(table, dict):
        raise ConfigError(f"{name} is no section")
    hints = get_type_hints(kind)
    _refuse_unknown(table, hints, f"{name}.")
    for each in fields(kind):
        if each.name not in table and each.default is MISSING:
            raise ConfigError(f"{name}.{each.name} is missing")
    return kind(**{key: _typed(hints[key], value, f"{name}.{key}") for key, value in table.items()})


def _refuse_unknown(table: Iterable[str], names: Iterable[str], prefix: str) -> None:
    for key in table:
        if key not in names:
            nearest = get_close_matches(key, names, 1, 0.0)[0]
            raise ConfigError(f"there is no {prefix}{key}; the nearest is {prefix}{nearest}")


def _typed(kind: Any, value: Any, name: str) -> Any:
    if get_origin(kind) is tuple:
        inner, *rest = get_args(kind)
        count = None if rest == [...] else 1 + len(rest)
        if not isinstance(value, list) or count not in (None, len(value)):
            raise ConfigError(f"{name} is {value!r}, not a list" + (f" of {count}" if count else ""))
        return tuple(_typed(inner, each, name) for each in value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"{name} is {value!r}, not a {kind.__name__}")
    choices = CHOICES.get(name.rpartition(".")[2], (value,))
    if value not in choices:
        raise ConfigError(f"{name} is one of {', '.join(choices)}")
    return value
