"""What is in the corpus: its sets, in shards that are made independently of one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from corpus.draw import Held, Source
from corpus.inputs import Inputs
from corpus.prompts import Prompt, divided
from corpus.texts import for_tests
from corpus.unit_selection import VOICE
from corpus.words import sayable, words

PERSON, SELECTION = "person", "selection"
# Of the hours of training, where all of them speak.
SHARES = {"espeak": 0.30, "flite": 0.34, "festival": 0.10, "pico": 0.12, "rhvoice": 0.14}
VARIED_SHARE = 0.08  # of the hours, and beside them: a person's prompts as other speakers would say several
SELECTED_SHARE = 0.15  # of the hours, and beside them: other texts in a person's voice, by unit selection
SELECTED_S = 3600.0  # of a shard, each of which finds the units anew
SHARD_S, SHARD_PROMPTS = 600.0, 24
VARIED_S, VARIED_PROMPTS = 1800.0, 60  # of a shard: to decode a prompt takes longer than to vary it often
TESTS = {"espeak": 300, "flite": 200, "festival": 150}  # sentences, in voices that training has
UNHEARD, DEV = 200, 50  # sentences in the voice that training does not have; of dev by each engine
SMALL_TEST = 20  # sentences of a set where the corpus has few sentences at all
MOST_PROMPT_S = 20.0
PROMPT_BYTES_S = 8000
TOLD = 6  # names of voices in an error


@dataclass(frozen=True)
class Settings:
    """What a corpus is asked to be.

    unheard: ENGINE:VOICE that no training has; sentences: how many are ever said, or 0 for all; without: engines that
    do not speak, or PERSON; inputs: what tells their archive from others.
    """

    hours: float
    seed: int = 1
    unheard: str = "flite:rms"
    sentences: int = 0
    without: tuple[str, ...] = ()
    inputs: str = ""


@dataclass(frozen=True)
class Shard:
    """A recording of many utterances of one engine, and a piece of a set's manifest.

    texts: what is said, one after another; without them, texts are drawn from the source until `seconds` are full.
    prompts: a person's recordings as they are; with `seconds`, varied and joined until they are full; of the engine
    SELECTION, what its voice is made of.
    number, step: the shard's sentences are every step-th one of the source, from number on.
    """

    name: str
    set: str
    engine: str
    voices: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    seconds: float = 0.0
    number: int = 0
    step: int = 1


@dataclass(frozen=True)
class Plan:
    """Shards in the order of the manifests, and what training speaks of."""

    seed: int
    shards: tuple[Shard, ...]
    source: Source


def planned(inputs: Inputs, voices: Mapping[str, Sequence[str]], settings: Settings) -> Plan:
    """The corpus by engines with these voices. The same settings and inputs give the same plan."""
    order = np.random.default_rng(settings.seed)
    known = inputs.sentences(settings.seed, settings.sentences)
    sentences = [known[at] for at in order.permutation(len(known))]
    heard, unheard = _voices(voices, settings)
    if settings.sentences:
        if "espeak" not in heard:
            raise ValueError("a few sentences are said by espeak in every set: leave --sentences out, or let it speak")
        few = sentences[: settings.sentences]
        sets = {name: (few * ceil(SMALL_TEST / len(few)))[:SMALL_TEST] for name in ("dev", "test-espeak")}
        tests = [_test(name, "espeak", heard["espeak"], texts) for name, texts in sets.items()]
        source = Source(few, (), Held.of(()), few=True)
        return Plan(settings.seed, (*_training(heard, settings), *tests), source)
    train, never = divided([] if PERSON in settings.without else inputs.prompts(), settings.seed)
    never = [prompt for prompt in never if _short(prompt)]
    tests, sentences = _tests(_sets(heard, unheard), sentences)
    if not sentences:
        raise ValueError(f"dev and tests take all {len(known)} sentences of the inputs; `fetch` gets more")
    held = Held.of(words(text) for text in (*(text for test in tests for text in test.texts), *(p.text for p in never)))
    train = [prompt for prompt in train if _short(prompt) and not held.has(words(prompt.text))]
    person = [*_recorded("train", train), *_varied(train, settings), *_recorded("test-asterisk", never)]
    if "flite" in voices and SELECTION not in settings.without:
        person += _selected(train, settings)
    source = Source(sentences, [said for each in train if (said := sayable(each.text))], held)
    return Plan(settings.seed, (*_training(heard, settings), *person, *tests), source)


def _voices(voices: Mapping[str, Sequence[str]], settings: Settings) -> tuple[dict[str, tuple[str, ...]], str]:
    """The voices that training has, by engine, and the one it does not have, or ''."""
    engine, _, unheard = settings.unheard.partition(":")
    if settings.unheard and engine not in SHARES:
        raise ValueError(f"no engine is called {engine}, of ENGINE:VOICE; there are {', '.join(SHARES)}")
    if engine in voices and unheard not in voices[engine]:
        first, more = voices[engine][:TOLD], len(voices[engine]) - TOLD
        told = ", ".join([*first, *([f"and {more} more"] if more > 0 else [])])
        raise ValueError(f"{engine} has no voice {unheard}; it has {told}")
    heard = {name: tuple(v for v in each if f"{name}:{v}" != settings.unheard) for name, each in voices.items()}
    return heard, settings.unheard if engine in voices and not settings.sentences else ""


def _training(heard: Mapping[str, tuple[str, ...]], settings: Settings) -> list[Shard]:
    all_s = settings.hours * 3600
    whole = sum(SHARES[name] for name in heard)
    seconds = {name: all_s * SHARES[name] / whole for name in heard}
    counts = {name: ceil(each / SHARD_S) for name, each in seconds.items()}
    found: list[Shard] = []
    for name, count in counts.items():
        for at in range(count):
            each = seconds[name] / count
            number, step = len(found), sum(counts.values())
            shard = Shard(f"train-{name}-{at:04}", "train", name, heard[name], seconds=each, number=number, step=step)
            found.append(shard)
    return found


def _sets(heard: Mapping[str, tuple[str, ...]], unheard: str) -> list[tuple[str, str, tuple[str, ...], int]]:
    """Of tests and dev: name, engine, voices, sentences."""
    wanted = [(f"test-{name}", name, heard[name], TESTS[name]) for name in heard if name in TESTS]
    if unheard:
        engine, _, voice = unheard.partition(":")
        wanted.append(("test-unheard", engine, (voice,), UNHEARD))
    return [*wanted, *(("dev", name, heard[name], DEV) for name in heard)]


def _tests(
    wanted: Sequence[tuple[str, str, tuple[str, ...], int]], sentences: list[str]
) -> tuple[list[Shard], list[str]]:
    """The shards of dev and tests, each with sentences of its own, and the sentences that training may speak.

    They take those that are too long for training. Where these are too few (a grammar has none), they take others.
    """
    longer, shorter = ([each for each in sentences if for_tests(each) is long] for long in (True, False))
    count = sum(count for *_, count in wanted)
    taken, left = (longer, shorter) if len(longer) >= count else (shorter[:count], shorter[count:])
    found = []
    for name, engine, voices, count in wanted:
        found.append(_test(name, engine, voices, taken[:count]))
        taken = taken[count:]
    return found, left


def _test(name: str, engine: str, voices: tuple[str, ...], texts: Sequence[str]) -> Shard:
    return Shard(f"{name}-{engine}" if name == "dev" else name, name, engine, voices, tuple(texts))


def _recorded(name: str, prompts: Sequence[Prompt]) -> list[Shard]:
    parts = [prompts[at : at + SHARD_PROMPTS] for at in range(0, len(prompts), SHARD_PROMPTS)]
    return [Shard(f"{name}-{PERSON}-{at:04}", name, PERSON, (), (), tuple(part)) for at, part in enumerate(parts)]


def _varied(prompts: Sequence[Prompt], settings: Settings) -> list[Shard]:
    seconds = settings.hours * 3600 * VARIED_SHARE
    count = ceil(seconds / VARIED_S) if prompts else 0
    order = np.random.default_rng(settings.seed).permutation(len(prompts))
    found = []
    for at in range(count):
        taken = np.take(order, range(at * VARIED_PROMPTS, (at + 1) * VARIED_PROMPTS), mode="wrap")
        few = tuple(prompts[each] for each in sorted(set(taken.tolist())))
        found.append(Shard(f"train-{PERSON}-varied-{at:04}", "train", PERSON, prompts=few, seconds=seconds / count))
    return found


def _selected(prompts: Sequence[Prompt], settings: Settings) -> list[Shard]:
    count = round(settings.hours * 3600 * SELECTED_SHARE / SELECTED_S) if prompts else 0
    return [
        Shard(f"train-{SELECTION}-{at:04}", "train", SELECTION, (VOICE,), (), tuple(prompts), SELECTED_S, at, count)
        for at in range(count)
    ]


def _short(prompt: Prompt) -> bool:
    return prompt.path.stat().st_size <= MOST_PROMPT_S * PROMPT_BYTES_S
