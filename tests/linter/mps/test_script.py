"""A training script as it comes from a machine with CUDA: each pitfall of the field guide is found at its line."""

from __future__ import annotations

import re

from mctc.diagnostics.source import SourceFile
from mctc.linter.mps.check import check_source

SCRIPT = """
import os
os.environ["PYTORCH_ENABLE_MPS_FALLBACK"] = "1"  # MPS061
os.environ["PYTORCH_MPS_HIGH_WATERMARK_RATIO"] = "0.7"  # MPS040
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from mamba_ssm.ops.selective_scan_interface import selective_scan_fn  # MPS008


class Encoder(nn.Module):
    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        self.proj = nn.Linear(80, width)
        self.mask = torch.triu(torch.ones(length, length), 1)  # MPS030
        self.register_buffer("window", torch.from_numpy(np.hanning(400)))  # MPS011
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.proj(x)
        state = torch.zeros_like(h[:, 0])
        for t in range(h.shape[1]):  # MPS064
            state = self.scale * state + h[:, t]
        return h.double().sum(-1)  # MPS010


def main(data, epochs: int) -> None:
    model = Encoder(256, 512).cuda()  # MPS001
    optimizer = torch.optim.AdamW(model.parameters())
    scaler = torch.cuda.amp.GradScaler()  # MPS006
    loader = DataLoader(data, 8, num_workers=16, pin_memory=True)  # MPS070 MPS071
    offsets = torch.roll(torch.arange(16, device="cuda"), 1)  # MPS002 MPS063
    for epoch in range(epochs):
        total = 0.0
        for x, y in loader:
            x, y = x.to("cuda"), y.to("cuda")  # MPS002 MPS002
            logits = model(x)
            loss = F.nll_loss(F.log_softmax(logits, -1), y)  # MPS020
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            total += loss.item()  # MPS050
            print(f"loss {logits.mean()}")  # MPS052
            torch.cuda.synchronize()  # MPS003 MPS054
        print(epoch, total / len(loader), offsets.shape)
    torch.cuda.empty_cache()  # MPS004
"""


def test_every_pitfall_is_found_at_its_line_and_nothing_else() -> None:
    wanted = [
        (number, code) for number, line in enumerate(SCRIPT.splitlines(), 1) for code in re.findall(r"MPS\d{3}", line)
    ]
    found = check_source(SourceFile("train.py", SCRIPT))
    assert sorted((each.span.location.line, each.code) for each in found if each.span) == wanted
