"""Frames in front of an utterance, such as prompts: in a padded batch each utterance has them, and its own behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mctc.diagnostics.errors import MctcError

from .made import Made, make_spec

SPEC = """model prompted(mels = 8, width = 12) {{
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(mel: f32[B, T, mels]) -> f32[B, {frames}, width] {{
        param prompts: f32[2, width] = normal(std = 1)
        x = linear(conv1d(mel, width, 4, stride = 2, look_ahead = 1) as front, width)
        none_yet = 0 * slice(x, "time", 0, 1)
        one, two = split(prompts, 2, axis = 0)
        one = none_yet + op.reshape(one, axes = [["channel", width]])
        two = none_yet + op.reshape(two, axes = [["channel", width]])
        x = concat({joined}, axis = "time")
        x = x + linear(attention(x, x, x, heads = 2), width) as mixed
        x = x + conv1d(relu(x), width, 3, look_ahead = 1) as near
        x = x + lstm(reverse(x), width) as backwards
        return {returned} - reduce_mean(x, axis = "time")
    }}
    utterance {{ length = 4 s }}
}}
"""
LENGTHS = [16, 9, 2, 1]
KEPT = {"T/2 + 2": "x", "T/2": 'slice(x, "time", 2)'}


def made(folder: Path, joined: str, frames: str) -> Made:
    spec = folder / "prompted.mct"
    spec.write_text(SPEC.format(joined=joined, frames=frames, returned=KEPT[frames]))
    return make_spec(spec, folder)


@pytest.mark.parametrize(("frames", "more"), [("T/2 + 2", 2), ("T/2", 0)])
def test_an_utterance_with_prompts_is_its_row_of_a_padded_batch(tmp_path: Path, frames: str, more: int) -> None:
    encoder = made(tmp_path, "one, two, x", frames).model.encoder
    x = torch.randn(4, 8, 1, 16, generator=torch.Generator().manual_seed(0))
    batch = x.clone()
    for row, length in enumerate(LENGTHS):
        batch[row, ..., length:] = 7e3
    counts = encoder.output_lengths(torch.tensor(LENGTHS))
    assert counts.tolist() == [-(-length // 2) + more for length in LENGTHS]
    with torch.no_grad():
        together = encoder(batch, torch.tensor(LENGTHS))
        for row, (length, count) in enumerate(zip(LENGTHS, counts.tolist(), strict=True)):
            alone = encoder(x[row : row + 1, ..., :length])
            assert alone.shape[-1] == count
            torch.testing.assert_close(together[row : row + 1, ..., :count], alone, rtol=1e-5, atol=1e-5)


def test_frames_behind_an_utterance_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MctcError, match="it joins sequences end to end: what a padded batch would give"):
        made(tmp_path, "one, x, two", "T/2 + 2")
