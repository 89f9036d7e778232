"""What searches cost and find: the shipped model of letters, over its recording and over sentences by espeak-ng."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from time import process_time

import numpy as np
from numpy.typing import NDArray

from bench import synthesis
from bench.numpy_transducer import NumpyTransducer
from bench.process import Command
from bench.row import Row
from bench.setting import Setting
from bench.speech import short_mel
from bench.word_errors import Pair, aligned, wrong
from mctc.audio.mel import log_mel
from mctc.cli.demo import model
from mctc.decode.engine import TransducerEngine
from mctc.decode.fusion import Scorer
from mctc.decode.hotwords import Hotwords, Phrase
from mctc.decode.search import transducer_search
from mctc.decode.settings import Settings
from mctc.decode.vocabulary import Vocabulary
from mctc.ir.op import Array
from mctc.ir.text import parse_program
from mctc.runtime.built import Built, open_built
from mctc.runtime.searched import recogniser
from mctc.runtime.step import Packages
from mctc.tokens import Tokens

CHUNK, ROUNDS = 8, 3  # encoded frames of 320 ms
GREEDY, BEAM = Settings(), Settings(method="time-synchronous", beam=4)
ONE_LABEL = Settings(method="beam", beam=4)
WITH_HOTWORDS = Settings(method="time-synchronous", beam=4, window=6)
SENTENCES, NAMES, SEED = 100, 50, 1
MOST_MS, MOST_TIMES, LEAST_RECALL, MOST_MORE = (3, 15), 2.5, 20, 0.2
Frames = NDArray[np.float32]


@dataclass(frozen=True)
class Heard:
    """An utterance as the encoder hears it, what was said, and the rare name in it or ''."""

    frames: Frames
    text: str
    name: str


@dataclass
class Trained:
    """The shipped model, built."""

    setting: Setting

    def built(self, target: str) -> Built:
        folder = self.setting.work / f"shipped_{target}"
        if not folder.exists():
            spec, weights, tokens = model()
            told: Command = [spec, "--weights", weights, "--tokens", tokens]
            self.setting.run([self.setting.mctc, "build", *told, "--target", target, "-o", folder])
        return open_built(folder)

    @cached_property
    def tokens(self) -> Tokens:
        tokens = self.built("onnx").tokens
        assert tokens is not None
        return tokens

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return recogniser(self.built("onnx")).vocabulary

    @cached_property
    def in_numpy(self) -> NumpyTransducer:
        """Predictor and joiner with the weights that the package stores."""
        built = self.built("onnx")
        program = parse_program((built.folder / "whole.mir").read_text(encoding="utf-8"))
        weights = built.values(program, model()[1])
        return NumpyTransducer(lambda name: weights.deployed(program.parameters[name]))

    @cached_property
    def packaged(self) -> TransducerEngine:
        """Those of the Core ML package, executed by the evaluator in fp16."""
        engine = recogniser(self.built("ane")).engine
        assert engine is not None
        return engine

    @cached_property
    def encoder(self) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
        """The encoder over whole utterances, in onnxruntime."""
        return Packages(self.built("onnx")).whole("encoder")

    def encoded(self, mel: Frames) -> Frames:
        """Encoded frames of log-mel frames, [frames, width]."""
        mel = mel[: len(mel) // 4 * 4]
        return np.asarray(self.encoder({"mel": mel.T[None, :, None].astype(np.float32)})["output"][0, :, 0].T)

    def hears(self, texts: Sequence[tuple[str, str]]) -> list[Heard]:
        said = synthesis.spoken(texts, SEED)
        return [Heard(self.encoded(log_mel(each.samples)), each.text, each.name) for each in said]

    def search(
        self, engine: TransducerEngine, frames: Frames, settings: Settings, scorers: Sequence[Scorer] = ()
    ) -> tuple[str, float]:
        """What is heard, and the seconds of CPU time."""
        search = transducer_search(engine, self.vocabulary, settings, scorers)
        start = process_time()
        for at in range(0, len(frames), CHUNK):
            search.accept(frames[at : at + CHUNK])
        (best, *_) = search.finish()
        return self.tokens.text(best.ids), process_time() - start


def rows(setting: Setting) -> list[Row]:
    """Cost on the recording; errors, cost and hotwords on sentences, where espeak-ng is installed."""
    trained = Trained(setting)
    found = [cost(trained)]
    if not synthesis.installed():
        told = "not measured: espeakng-loader is not installed"
        return [*found, Row("beam 4 against greedy", "", told, False), Row("hotwords", "", told, False)]
    plain = trained.hears([(text, "") for text in synthesis.sentences(SENTENCES, SEED)])
    names = synthesis.names(NAMES, SEED)
    named = trained.hears([*synthesis.asking_for(names, SEED), *synthesis.asking_for(names, SEED + 1)])
    return [*found, errors(trained, plain), stability(trained, plain), hotwords(trained, plain, named, names)]


def cost(trained: Trained) -> Row:
    """CPU time of a chunk, with the calls of predictor and joiner."""
    frames = trained.encoded(short_mel())
    chunks = -(-len(frames) // CHUNK)
    engines: dict[str, TransducerEngine] = {"numpy": trained.in_numpy, "package": trained.packaged}
    ms: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            for settings in (GREEDY, BEAM):
                spent = trained.search(engine, frames, settings)[1]
                ms.setdefault((name, settings.method), []).append(1000 * spent / chunks)
    median = {key: float(np.median(each)) for key, each in ms.items()}
    measured = [median["numpy", settings.method] for settings in (GREEDY, BEAM)]
    package = " / ".join(f"{median['package', settings.method]:.1f}" for settings in (GREEDY, BEAM))
    return Row(
        "search per 320 ms chunk of mct_small (letters), greedy / time-synchronous beam of 4, CPU time",
        " / ".join(f"≤ {most} ms" for most in MOST_MS),
        " / ".join(f"{each:.1f} ms" for each in measured),
        all(each <= most for each, most in zip(measured, MOST_MS)),
        "with all calls of predictor and joiner, in numpy in fp32, many hypotheses a call; "
        f"by the Core ML package's functions in the fp16 evaluator, one a call: {package} ms; medians of {ROUNDS} runs",
    )


def errors(trained: Trained, plain: Sequence[Heard]) -> Row:
    """Words wrong and time, of the same frames."""
    wrongs: dict[str, int] = {}
    spent: dict[str, float] = {}
    for settings in (GREEDY, BEAM, ONE_LABEL):
        heard = [trained.search(trained.in_numpy, each.frames, settings) for each in plain]
        wrongs[settings.method] = sum(wrong(aligned(e.text, text)) for e, (text, _) in zip(plain, heard))
        spent[settings.method] = sum(seconds for _, seconds in heard)
    words = sum(len(each.text.split()) for each in plain)
    ratio, fewer = spent[BEAM.method] / spent[GREEDY.method], wrongs[GREEDY.method] - wrongs[BEAM.method]
    rate = {name: 100 * count / words for name, count in wrongs.items()}
    return Row(
        "time-synchronous beam of 4 against greedy search: words wrong, CPU time of the search",
        f"fewer, ≤ {MOST_TIMES}x",
        f"{rate[BEAM.method]:.1f} % against {rate[GREEDY.method]:.1f} %, {ratio:.1f}x",
        fewer > 0 and ratio <= MOST_TIMES,
        f"{wrongs[BEAM.method]} and {wrongs[GREEDY.method]} of {words} words in {len(plain)} sentences by espeak-ng; "
        f"the beam of one label a frame has {rate[ONE_LABEL.method]:.1f} % wrong: letters need more than that at 25 Hz",
    )


def stability(trained: Trained, plain: Sequence[Heard]) -> Row:
    """Words of partial results that are other ones at the end, and final labels that are."""
    shown = changed = finals = 0
    for each in plain:
        search = transducer_search(trained.in_numpy, trained.vocabulary, BEAM)
        parts = [search.accept(each.frames[at : at + CHUNK]) for at in range(0, len(each.frames), CHUNK)]
        (best, *_) = search.finish()
        words, known = trained.tokens.text(best.ids).split(), set[tuple[int, str]]()
        for part in parts:
            finals += part.best.ids[: part.final] != best.ids[: part.final]
            known |= set(enumerate(trained.tokens.text(part.best.ids).split()[:-1]))  # the last one may still grow
        shown += len(known)
        changed += sum(words[at : at + 1] != [word] for at, word in known)
    return Row(
        "partial results of the beam: words that change after they are shown / finals that change",
        "said / 0",
        f"{100 * changed / shown:.1f} % / {finals}",
        finals == 0,
        f"{shown} words shown, a result every 320 ms; the last word of each, which may still grow, is left out",
    )


def hotwords(trained: Trained, plain: Sequence[Heard], named: Sequence[Heard], names: Sequence[str]) -> Row:
    """Names heard, and errors in all other words, with the names as hotwords and without."""
    space = trained.tokens.encode(" ")[0]
    size = trained.vocabulary.size
    phrases = [Phrase(tuple(trained.tokens.encode(name))) for name in names]
    recall, elsewhere = [], []
    for scorers in ([], [Hotwords(phrases, size, around=space)]):
        pairs: list[tuple[Heard, list[Pair]]] = []
        for each in (*plain, *named):
            text, _ = trained.search(trained.in_numpy, each.frames, WITH_HOTWORDS, scorers)
            pairs.append((each, aligned(each.text, text)))
        hits = sum((each.name, each.name) in found for each, found in pairs if each.name)
        others = [pair for each, found in pairs for pair in found if pair[0] != each.name]
        recall.append(100 * hits / len(named))
        elsewhere.append(100 * wrong(others) / sum(said is not None for said, _ in others))
    up, more = recall[1] - recall[0], elsewhere[1] - elsewhere[0]
    return Row(
        f"hotwords: recall of {len(names)} rare names, without and with; words wrong elsewhere",
        f"up by ≥ {LEAST_RECALL}; ≤ {MOST_MORE} more",
        f"{recall[0]:.0f} % and {recall[1]:.0f} %; {elsewhere[0]:.1f} % and {elsewhere[1]:.1f} %",
        up >= LEAST_RECALL and more <= MOST_MORE,
        f"{len(named)} sentences with a name and {len(plain)} without; boost {Phrase((0,)).boost:g} a letter, "
        f"beam of 4, window {WITH_HOTWORDS.window:g}",
    )
