"""An emitted module computes what its program says: whole utterances, streams in any chunks, batches of any lengths."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mctc.objectives.auxiliary import training_only

from .made import Made, error, listed, tensors

BOUND = 1e-5


@pytest.fixture(params=["small", "conformer"])
def made(request: pytest.FixtureRequest) -> Made:
    return request.getfixturevalue(request.param)


def test_forward_is_what_the_program_says(made: Made) -> None:
    for name, function in made.whole.functions.items():
        inputs = made.inputs(name, B=2, T=64, U=5)
        expected = made.reference(name, inputs)
        with torch.no_grad():
            actual = listed(getattr(made.model, name)(*tensors(inputs)))
        assert len(actual) == len(function.results)
        for got, want in zip(actual, expected, strict=True):
            assert error(got, want) <= BOUND, name


@pytest.mark.parametrize("chunks", [[64, 64, 64], [192], [32, 96, 64]])
def test_steps_are_the_whole_utterance_in_any_chunks(small: Made, chunks: list[int]) -> None:
    (mel,) = tensors(small.inputs("encoder", B=3, T=192))
    encoder = small.model.encoder
    with torch.no_grad():
        whole = encoder(mel)
        state, parts = encoder.initial_state(3), []
        for piece in mel.split(chunks, dim=3):
            part, state = encoder.step(piece, state)
            parts.append(part)
    assert error(torch.cat(parts, dim=3), whole.numpy()) <= BOUND


def test_labels_are_predicted_one_by_one(small: Made) -> None:
    (tokens,) = tensors(small.inputs("predictor", B=2, U=6))
    predictor = small.model.predictor
    with torch.no_grad():
        whole = predictor(tokens)
        state, parts = predictor.initial_state(2), []
        for token in tokens.split(1, dim=3):
            part, state = predictor.step(token, state)
            parts.append(part)
    assert error(torch.cat(parts, dim=3), whole.numpy()) <= BOUND


def test_a_step_that_looks_ahead_is_the_whole_utterance_later(conformer: Made) -> None:
    (mel,) = tensors(conformer.inputs("ctc", B=2, T=256))
    delay = conformer.compiled.steps["ctc"].timings["output"].delay
    chunk = conformer.compiled.chunk
    flushed = -(-delay * 4 // chunk) * chunk
    padded = torch.nn.functional.pad(mel, (0, flushed))
    valid = torch.nn.functional.pad(torch.ones(256), (0, flushed))
    model = conformer.model.ctc
    with torch.no_grad():
        whole = model(mel)
        state, parts = model.initial_state(2), []
        for piece, exists in zip(padded.split(chunk, dim=3), valid.split(chunk), strict=True):
            part, state = model.step(piece, exists, state)
            parts.append(part)
    streamed = torch.cat(parts, dim=3)[..., delay : delay + whole.shape[3]]
    assert error(streamed, whole.numpy()) <= BOUND


def test_a_padded_batch_is_its_utterances_one_by_one(made: Made) -> None:
    name = next(iter(made.whole.functions))
    component = getattr(made.model, name)
    lengths = torch.tensor([64, 41, 4])
    (mel,) = tensors(made.inputs(name, B=3, T=64))
    with torch.no_grad():
        together = component(mel, lengths)
        frames = component.output_lengths(lengths)
        for index, length in enumerate(lengths.tolist()):
            rounded = -(-length // 4) * 4
            alone = torch.zeros(1, *mel.shape[1:3], rounded)
            alone[..., :length] = mel[index : index + 1, ..., :length]
            expected = component(alone)
            assert expected.shape[3] == frames[index]
            assert error(together[index : index + 1, ..., : frames[index]], expected.numpy()) <= BOUND


def test_what_pads_a_batch_is_never_seen(made: Made) -> None:
    name = next(iter(made.whole.functions))
    component = getattr(made.model, name)
    lengths = torch.tensor([64, 24])
    (mel,) = tensors(made.inputs(name, B=2, T=64))
    other = mel.clone()
    other[1, ..., 24:] = 1e3
    with torch.no_grad():
        assert torch.equal(component(mel, lengths)[1, ..., :6], component(other, lengths)[1, ..., :6])


def test_the_state_dict_has_the_names_of_the_spec(made: Made) -> None:
    assert set(made.model.state_dict()) == set(made.whole.sources) | training_only(made.whole.train.settings)


def test_a_checkpoint_keeps_its_shapes_or_takes_those_of_the_passes(made: Made) -> None:
    held = made.model.state_dict()
    for name in held.keys() - training_only(made.whole.train.settings):
        tensor = held[name]
        assert tuple(tensor.shape) == made.whole.parameters[name].type.shape


def test_padding_classes_never_win(small: Made) -> None:
    inputs = small.inputs("joiner", B=1, T=16, U=3)
    with torch.no_grad():
        logits = small.model.joiner(*tensors(inputs))
    (entry,) = small.whole.vocabularies
    assert logits.shape[1] == entry.padded
    assert (logits.argmax(dim=1) < entry.valid).all()
    assert np.isfinite(logits.numpy()).all()
