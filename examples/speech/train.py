"""Trains an emitted model.

    python -m speech.train CONF.toml [section.key=value ...]
    torchrun --nproc-per-node 4 -m speech.train CONF.toml [section.key=value ...]

A run that was stopped, or killed at any moment, goes on behind its last checkpoint when it is started again.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict

from mctc.audio import MelConfig
from mctc.diagnostics.errors import MctcError
from mctc.score.alignment import jiwer

from . import checkpoints
from .augment import at_speed, augmented
from .batches import MicroBatch, Step, steps, usable_of
from .config import Config, ConfigError, changes, read_config
from .emitted import Emitted, check_classes, check_components, is_ctc, is_transducer, least_frames
from .features import LogMel, aligned, spec_augment
from .graphs import Graphed
from .heard import word_errors
from .journal import Journal, busy
from .manifests import DataError, Spoken, read_spoken, tokens_of
from .optimiser import Average, adamw, rate_of
from .parallel import Processes, bare, gradients_kept, processes, spread, whole
from .sound import Cut, Sound

if TYPE_CHECKING:
    from .distill import Distillation, Said
    from .prune import Pruning

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


class RunError(RuntimeError):
    """A run that must not go on."""


class Trainer:
    """One process of a run: data, model, optimiser, and how many steps were made."""

    def __init__(self, config: Config, emitted: Emitted, here: Processes) -> None:
        self.config, self.here, self.run = config, here, Path(config.train.run)
        if config.batch.accumulate % here.world:
            raise ConfigError(f"batch.accumulate = {config.batch.accumulate} is no multiple of {here.world} processes")
        checkpoints.check_place(self.run)
        self.tokens, self.device_part = tokens_of(config.data.tokens), emitted.part("device")
        self.set_quantization, self.quantized = emitted.part("fake_quantize").set_quantization, False
        self.set_arithmetic, self.on_engine = emitted.part("engine_arithmetic").set_engine_arithmetic, False
        self._prepare_model(emitted)
        self._prepare_sound()
        self.step = self._restore()
        self.graphs = self._graphed() if config.train.graphs and here.device.type == "cuda" else None
        self.journal = Journal(self.run, config.train.steps, self.step, here.rank == 0)

    def _prepare_model(self, emitted: Emitted) -> None:
        config, here = self.config, self.here
        torch.manual_seed(config.train.seed)
        model = emitted.model()
        check_classes(model, self.tokens.size)
        check_components(model, config.quantize)
        self.least_frames, self.per_label = least_frames(model), is_transducer(model)
        if config.data.dev:
            jiwer()  # raises now what would end the run at the first score
        if config.data.dev and not (is_transducer(model) or is_ctc(model)):
            raise ConfigError("data.dev: the search is for transducers and CTC; `mctc score` hears with other models")
        self.scorer = emitted.model().to(here.device) if config.data.dev else None
        self.distillation = self._distillation(model) if config.distill.teacher else None
        self.model = spread(model.to(here.device), config.train.strategy, here)
        self.optimizer = adamw(self.model, config.optimizer, fused=here.device.type == "cuda")
        self.average = Average(bare(self.model), config.optimizer.ema)
        self.pruning = self._pruning() if config.prune.build else None

    def _distillation(self, student: torch.nn.Module) -> Distillation:
        from .distill import Distillation

        return Distillation(self.config.distill, student, self.tokens.size, self.here.device)

    def _pruning(self) -> Pruning:
        from .prune import Pruning  # which needs the compiler's passes

        return Pruning(self.config.prune, bare(self.model))

    def _graphed(self) -> Graphed:
        """From now on the encoder's passes are CUDA graphs. Gradients add up in place, since a graph's own are used
        again."""
        encoder: Any = bare(self.model).encoder
        encoder.forward = graphs = Graphed(encoder, self._dtype)
        for parameter in self.model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        return graphs

    def _prepare_sound(self) -> None:
        config, here = self.config, self.here
        mel = MelConfig(sample_rate=config.data.sample_rate)
        self.features = LogMel(mel, config.augment.vocal_tract).to(here.device)
        spoken, dev = (read_spoken(each, self.tokens, mel.sample_rate) for each in (config.data.train, config.data.dev))
        self.lengths = spoken.lengths
        least = self.least_frames * mel.hop * max((1.0, *config.augment.speed))
        self.usable, left_out = usable_of(self.lengths, config.batch, least)
        if here.rank == 0:
            hours = self.lengths.samples[self.usable].sum() / mel.sample_rate / 3600
            print(*left_out, f"{len(self.usable):,} utterances, {hours:.2f} h", sep="\n", flush=True)
        file = None if self._on_device(spoken) else Path(config.data.cache or self.run) / "sound.i16"
        self.sound = Sound(spoken, here.device, file, fill=file is None or here.local_rank == 0)
        self.dev_texts = [" ".join(each.text.split()) for each in dev.utterances]
        self.dev = Sound(dev, torch.device("cpu"))
        here.wait()

    def _on_device(self, spoken: Spoken) -> bool:
        """Whether the sound lies on the training device: where that is said, or half of a GPU's memory is enough."""
        store, device = self.config.data.store, self.here.device
        room = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 1 << 33
        return store == "device" or (store == "auto" and 2 * int(spoken.lengths.samples.sum()) <= room // 2)

    def train(self) -> None:
        """All steps, or as many as the time allows. A run ends at a line of its log."""
        train, here = self.config.train, self.here
        deadline = time.monotonic() + 60 * train.minutes if train.minutes else math.inf
        self._score_if_missed()
        plan = islice(
            steps(self.lengths, self.usable, self.config.batch, train.seed, self.step), train.steps - self.step
        )
        told, begun = torch.zeros(4, device=here.device), time.perf_counter()
        for step, cuts in self.sound.batches(plan, slice(here.rank, None, here.world), here.device):
            told += self._advance(step, cuts)
            self.step = step.number + 1
            if self.step % train.log_every and self.step != train.steps:
                continue
            done = self._done(deadline)
            self._tell(step, here.total(told).tolist(), begun)
            if done or self.step % train.save_every == 0:
                self.save()
            if done or self.step % train.dev_every == 0:
                self.score()
            if done:
                break
            told, begun = torch.zeros_like(told), time.perf_counter()
        self.journal.close()

    def _advance(self, step: Step, cuts: list[Cut]) -> Tensor:
        """One step of the optimiser; this process' part of the sum of losses, of what it is divided by, of the seconds
        and of the gradient's norm."""
        config, here = self.config, self.here
        self._quantize(step.number)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(step.number)
        self.model.train()
        total = torch.zeros((), device=here.device)
        share = step.labels if self.per_label else step.utterances
        for at, (batch, cut) in enumerate(zip(step.batches[here.rank :: here.world], cuts, strict=True)):
            with gradients_kept(self.model, at < len(cuts) - 1):
                loss = self._loss(batch, cut) * len(batch.utterances)
                # Gradients are averaged over the processes; what is wanted is their sum.
                (loss * (here.world / share)).backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
        norm = whole(torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.optimizer.clip))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=self.graphs is None)
        self.average.update(bare(self.model), step.number)
        if self.pruning:
            self.pruning.apply(step.number + 1, (dict(bare(self.model).named_parameters()), self.average.values))
        shares = (torch.full_like(total, each / here.world) for each in (share, step.seconds))
        return torch.stack([total, *shares, norm / here.world])

    def _loss(self, batch: MicroBatch, cut: Cut) -> Tensor:
        """The mean loss of a micro-batch. Whatever is random in it depends on the seed and its number alone."""
        config = self.config
        seed = (config.train.seed * 1_000_003 + batch.number) % (1 << 62)
        torch.manual_seed(seed)
        with torch.no_grad():
            speed = Random(seed).choice(config.augment.speed or (1.0,))
            recorded, lengths = at_speed(cut.samples.float() / 32768.0, cut.lengths, speed)
            samples = augmented(recorded, lengths, config.data.sample_rate, config.augment)
            mel, frames = self.features.train()(samples, lengths)
            mel = aligned(mel)
            views = [spec_augment(mel, frames, config.augment) for _ in range(2 if config.model.consistency else 1)]
        labels, counts, options = cut.labels, cut.counts, {}
        said = self._teachers(batch, cut, recorded, lengths)
        if config.model.consistency:
            frames, labels, counts = frames.repeat(2), labels.repeat(2, 1), counts.repeat(2)
            options = {"consistency": config.model.consistency}
        with self.device_part.autocast(self.here.device, self._dtype()):
            loss: Tensor = self.model(torch.cat(views), frames, labels, counts, **options)
            if self.distillation and said:
                loss = loss + self.distillation.loss(said, frames, labels, counts)
        return loss

    @torch.no_grad()
    def _teachers(self, batch: MicroBatch, cut: Cut, recorded: Tensor, lengths: Tensor) -> Said | None:
        """What the teacher says of the speech as it was recorded."""
        if not self.distillation:
            return None
        mel, frames = self.features.eval()(recorded, lengths)
        with self.device_part.autocast(self.here.device, self._dtype()):
            return self.distillation.says(aligned(mel), frames, cut.labels, cut.counts, batch.utterances.tolist())

    def _dtype(self) -> torch.dtype:
        """What to compute in. bf16 can't hold the fp16 numbers that the engine computes with."""
        precision = self.config.train.precision
        best = torch.float32 if self.on_engine else self.device_part.training_dtype(self.here.device)
        return cast("torch.dtype", best if precision == "auto" else getattr(torch, precision))

    def _rate(self, step: int) -> float:
        return rate_of(step, self.config.train.steps, self.config.optimizer, self.config.quantize)

    def _quantize(self, step: int) -> None:
        """From `quantize.from_step` on the weights are those that the package will hold, and from
        `quantize.engine_from_step` on components compute as the Neural Engine does."""
        begin = self.config.quantize.from_step
        if begin and step >= begin and not self.quantized:
            for model in filter(None, (bare(self.model), self.scorer)):
                self.set_quantization(model, "on")
            self.quantized = True
            self._compute_anew()
        begin = self.config.quantize.engine_from_step
        if begin and step >= begin and not self.on_engine:
            for model in filter(None, (bare(self.model), self.scorer)):
                self.set_arithmetic(model, "on", components=self.config.quantize.engine_components)
            self.on_engine = True
            self._compute_anew()

    def _compute_anew(self) -> None:
        if self.graphs:
            self.graphs.forget()

    def _done(self, deadline: float) -> bool:
        """Whether all processes end here: one of them ran out of time, or the last step is made."""
        late = torch.tensor(float(time.monotonic() > deadline), device=self.here.device)
        return bool(self.here.total(late) > 0) or self.step == self.config.train.steps

    def _tell(self, step: Step, told: list[float], begun: float) -> None:
        (loss, share, seconds, norm), wall = told, time.perf_counter() - begun
        count = (step.number % self.config.train.log_every) + 1
        if not math.isfinite(loss):
            raise RunError(f"the loss is {loss} in the steps before {self.step}; nothing was saved of them")
        values = {"loss": loss / share, "norm": norm / count, "rate": self._rate(step.number), "epoch": step.epoch}
        speeds = {"speech_s_per_s": seconds / wall, "steps_per_s": count / wall, **busy(self.here.device)}
        self.journal.write(self.step, {**values, **speeds})

    def _score_if_missed(self) -> None:
        """The score that a kill behind the last checkpoint took, so that the log is that of a run that nothing
        stopped."""
        train, here = self.config.train, self.here
        due = self.step > 0 and (self.step % train.dev_every == 0 or self.step == train.steps)
        missed = here.rank == 0 and due and not checkpoints.is_scored(self.run, self.step)
        if here.total(torch.tensor(float(missed), device=here.device)) > 0:
            self._quantize(self.step - 1)
            self.score()

    def score(self) -> None:
        """Words wrong on the dev set, with the average weights; each process hears a part."""
        if self.scorer is None:
            return
        averages = {name: whole(value) for name, value in self.average.values.items()}
        self.scorer.load_state_dict({**dict(bare(self.model).named_buffers()), **averages}, strict=False)
        part = slice(self.here.rank, None, self.here.world)
        counts = word_errors(self.scorer, self.dev, self.dev_texts, self.features, self.tokens, part)
        both = torch.tensor([counts.errors, counts.said], dtype=torch.float32, device=self.here.device)
        wrong, said = self.here.total(both).tolist()
        self.journal.write(self.step, {checkpoints.SCORE: wrong / max(said, 1.0)})

    def save(self) -> None:
        """All processes gather, the first one writes."""
        model, optimizer = get_state_dict(self.model, self.optimizer, options=WHOLE)
        average = {name: whole(value).cpu() for name, value in self.average.values.items()}
        content = {"model": model, "optimizer": optimizer, "average": average, "step": self.step}
        if self.here.rank == 0:
            content = {**content, "config": asdict(self.config)}
            checkpoints.save(self.run, self.step, content, self.config.train.keep)
        self.here.wait()

    def _restore(self) -> int:
        """Takes over the last checkpoint of the run, if there is one; the number of steps behind it."""
        found, step = checkpoints.found(self.run), 0
        if found:
            content = checkpoints.load(found[-1])
            model, optimizer, step = content["model"], content["optimizer"], content["step"]
            both = {"model_state_dict": model, "optim_state_dict": optimizer}
            try:
                set_state_dict(self.model, self.optimizer, **both, options=WHOLE)
            except RuntimeError as error:
                told = f"train.run: {found[-1]} is of another model than model.training; name another folder"
                raise ConfigError(told) from error
            self.average.load(content["average"])
            if self.here.rank == 0:
                print(f"goes on behind step {step}", *changes(content["config"], self.config), sep="\n", flush=True)
        self.here.wait()
        if self.here.rank == 0:
            checkpoints.rewind_log(self.run, step)
        return step


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        config = read_config(arguments)
        emitted = Emitted(config.model)
        part = emitted.part("device")
        device = part.pick_device(config.train.device or None)
        part.check_fallback(device)
        part.limit_memory(device)
        with processes(device) as here:
            Trainer(config, emitted, here).train()
    except (ConfigError, DataError, RunError, MctcError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
