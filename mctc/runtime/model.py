"""A build, or a package, from Python: functions with their states, streams, transcripts. `mctc.open` makes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from numpy.typing import ArrayLike

from mctc.decode.endpoint import USUAL, Endpointer, EndpointRule
from mctc.decode.fusion import Scorer
from mctc.decode.settings import Settings
from mctc.diagnostics.near import did_you_mean, listing
from mctc.driver.engine import Engine
from mctc.driver.make import target_named
from mctc.driver.manifest import NAME
from mctc.driver.options import BuildError
from mctc.ir.op import Array
from mctc.plugins import registry
from mctc.runtime.arrays import target_of
from mctc.runtime.built import Built, open_built
from mctc.runtime.decoding import Asked, search_of
from mctc.runtime.encoder_decoder import EncoderDecoder, decoder_of
from mctc.runtime.events import Audio, Stream
from mctc.runtime.function import Function, of_artifact, of_build
from mctc.runtime.recognition import RECORDED, Recognition, blocks, of_frames, of_labels, samples
from mctc.runtime.searched import Recogniser, recogniser
from mctc.runtime.speech import listen
from mctc.runtime.step import Packages
from mctc.runtime.stream import SpeechStream, front_end_of
from mctc.runtime.utterance import transcribe_samples
from mctc.tokens import Tokens
from mctc.tokens.errors import NAMELESS

PACKAGES = (".mlpackage", ".mlmodelc", ".mlmodel", ".aimodel")  # folders, some of them


class Model:
    """What was built, opened: each function keeps its state from call to call.

    A build has the functions, streams and transcripts of its spec, and runs in whatever executes what its target wrote.
    A package alone (.mlpackage, .mlmodelc, .onnx, .aimodel; anybody's) has functions, by the names in its file.

    arithmetic: what is computed in, that of the build if None. weights: the checkpoint, for a build whose files hold
    none.
    """

    def __init__(self, path: Path, arithmetic: str | None = None, weights: Path | None = None) -> None:
        self.path, self.arithmetic, self._weights = path, arithmetic, weights
        self._built = None if _is_artifact(path) else open_built(path)
        self.target = target_of(path) if self._built is None else self._built.target
        self._functions: dict[str | None, Function] = {}

    @property
    def built(self) -> Built:
        """The build, as its manifest tells it. Raises BuildError for a package alone."""
        if self._built is None:
            hint = "functions of a package are called by `step`; the folder of its build has the rest"
            raise BuildError(f"{self.path} is a package alone", hint=hint)
        return self._built

    @property
    def runtime(self) -> str:
        """What executes it, in words."""
        return str(self.target.runtime)

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the step functions of a build."""
        return tuple(self.built.functions)

    @cached_property
    def packages(self) -> Packages:
        """The artifacts of a build, each opened once."""
        return Packages(self.built, self.arithmetic, lambda program: self.built.values(program, self._weights))

    @cached_property
    def _artifact(self) -> Engine:
        return self.target.engine(self.path, self.arithmetic or self.target.forms["precision"][0])

    def function(self, name: str | None = None) -> Function:
        """A function with a state of its own: of a build a step function, of a package the one that is stored under the
        name. Without a name, the only one, or the package's default one. Raises MctcError when there is none."""
        if self._built is None:
            return of_artifact(self.path, self._artifact.function(name))
        return of_build(self.packages.step(_named(self._built, self._built.functions, name)))

    def step(
        self, name: str | None = None, inputs: Mapping[str, ArrayLike] | None = None, /, **named: ArrayLike
    ) -> dict[str, Array]:
        """The next call of a function, which goes on where the last one ended. The arguments behind the function's name
        are those of `Function`; so are the errors."""
        if name not in self._functions:
            function = self.function(name)
            self._functions[name] = self._functions.setdefault(function.name, function)
        return self._functions[name](inputs, **named)

    def reset(self) -> None:
        """The next `step` of every function is the first of an utterance."""
        for function in self._functions.values():
            function.reset()

    def whole(self, name: str | None = None) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
        """A function over whole utterances, which targets such as onnx and torch write too: arrays by name in and out.
        Raises BuildError when there is none."""
        return self.packages.whole(_named(self.built, self.built.whole, name))

    @property
    def tokens(self) -> Tokens:
        """What its labels stand for. Raises BuildError for a build that is untrained, or whose labels have no names."""
        if self.built.seed is not None:
            hint = "mctc build --weights FILE.safetensors binds trained weights"
            raise BuildError(f"{self.path} is untrained, so what it hears means nothing", hint=hint)
        if self.built.tokens is None:
            raise BuildError(f"{self.path} has no tokens, so there are no words", hint=NAMELESS)
        return self.built.tokens

    @cached_property
    def recogniser(self) -> Recogniser:
        """The encoder with a search over its frames. Raises BuildError for a build that is no transducer and no CTC."""
        found = recogniser(self.built, self.arithmetic, self._weights)
        found.stream()  # what opens artifacts does so here, once, and not in the first stream
        return found

    def stream(
        self,
        rate: int = 16_000,
        settings: Settings | None = None,
        scorers: Sequence[Scorer] = (),
        rules: Sequence[EndpointRule] = USUAL,
    ) -> Stream:
        """A stream of audio through a transducer or an encoder with CTC; the arguments are those of `Stream`.

        Raises BuildError for a build of another kind, an untrained one, and one whose labels have no names.
        """
        return Stream(self.recogniser, self.tokens, rate, settings, scorers, rules)

    def transcribe(
        self,
        audio: Path | str | Audio,
        rate: int = 16_000,
        *,
        settings: Settings | None = None,
        scorers: Sequence[Scorer] = (),
        asked: Asked | None = None,
        tables: Mapping[str, Array] | None = None,
    ) -> Recognition:
        """What is said in a recording, or in samples at `rate` in Hz.

        settings, scorers: of the search over frames of a transducer or CTC, greedy if left out. asked, tables: of an
        attention decoder: how it is asked, and rows of its inputs. Raises BuildError as `stream` and for audio that is
        longer than the one utterance that a build takes, AudioError for a file that can't be read, and ValueError for
        samples that are no sound.
        """
        tokens, config = self.tokens, front_end_of(self.built)
        if decoder_of(self.built) is not None:
            model = EncoderDecoder(self.built, tables or {}, self.arithmetic, self._weights)
            name = str(audio) if isinstance(audio, (str, Path)) else "the audio"
            search, sound = search_of(self.built, asked or Asked()), samples(audio, rate, config.sample_rate)
            return of_labels(tokens, transcribe_samples(model, config, sound, search, name))
        stream = SpeechStream(self.recogniser, settings or Settings(), scorers)
        sound_blocks = blocks(audio, rate, config.sample_rate, stream.chunk_samples)
        endpointer = Endpointer(stream.frame_s, RECORDED, tokens.white_space)
        return of_frames(tokens, listen(stream, sound_blocks, None, endpointer))


def open_model(path: Path | str, arithmetic: str | None = None, weights: Path | str | None = None) -> Model:
    """What lies at a path: the folder of a build, or a package. arithmetic: 'fp16', 'fp32', 'engine', ...
    (docs/engine-arithmetic.md), the build's if left out; weights: the checkpoint, for a build whose files hold none.

    Raises BuildError for a folder that holds no build, and a file that is no package.
    """
    if not Path(path).exists():
        raise BuildError(
            f"{path}: there is no such build or package", hint="a folder that `mctc build` wrote, or a package"
        )
    if Path(path).is_file() and not _ends_as_artifact(Path(path)):
        hint = "`mctc.build` builds a spec, and `mctc.open` takes the folder that it wrote"
        raise BuildError(f"{path} is no build and no package", hint=hint if Path(path).suffix == ".mct" else None)
    return Model(Path(path), arithmetic, None if weights is None else Path(weights))


def _ends_as_artifact(path: Path) -> bool:
    """Whether a file's name ends as that of a package, or of what some target writes."""
    endings = (target_named(name).suffix for name in registry().names("targets"))
    return path.name.lower().endswith((*PACKAGES, *(ending for ending in endings if ending is not None)))


def _is_artifact(path: Path) -> bool:
    """Whether a path is called as an artifact is; a folder that holds a manifest is a build whatever it is called."""
    return not (path / NAME).is_file() and (path.is_file() or path.suffix.lower() in PACKAGES)


def _named(built: Built, known: Mapping[str, object], name: str | None) -> str:
    """The name of a function that there is."""
    if name is None and len(known) == 1:
        return next(iter(known))
    if name in known and name is not None:
        return name
    there = f"there are {listing(known)}" if known else f"target {built.manifest['target']} writes none"
    told = f"has no function `{name}`" if name is not None else "has several functions, so which one has to be said"
    raise BuildError(f"{built.folder} {told}", hint=(did_you_mean(name, known) if name else None) or there)
