"""The streaming Zipformer's spec against the paper's equations in torch; its chunks against the whole."""

from __future__ import annotations

from math import log, pi
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.language import elaborate_file
from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.rule import Severity
from mctc.linter.coreml.table import table
from mctc.package import read_package

from .proof import LIMIT, Proof, drawn, largest_error, under

torch = pytest.importorskip("torch")
F = torch.nn.functional

WITHIN, BEFORE, ENCODED, QUERY, PLACE = 8, 16, 12, 4, 2
SIZES: dict[str, Any] = {
    "mels": 8, "channels": (2, 3, 4), "factors": (1, 2, 4, 2), "widths": (8, 12, 16, 12), "depths": (1, 1, 1, 1),
    "heads": (2, 2, 4, 2), "inner": (16, 16, 24, 16), "kernels": (5, 5, 3, 5), "query": QUERY, "place": PLACE,
    "value": 3, "encoded": ENCODED, "within": WITHIN, "before": BEFORE, "vocab": 10,
}  # fmt: skip
MEL = np.random.default_rng(5).normal(size=(1, 80, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def proof(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    folder = tmp_path_factory.mktemp("zipformer")
    spec = folder / "small.mct"
    text = (root / "spec/zipformer.mct").read_text(encoding="utf-8")
    spec.write_text(text.replace("chunk = 640 ms", "chunk = 160 ms"), encoding="utf-8")
    weights = drawn(elaborate_file(spec, defines=SIZES))
    return Proof.holding({name: stored(name, value) for name, value in weights.items()}, spec, folder, **SIZES)


def stored(name: str, value: np.ndarray) -> np.ndarray:
    """Weights that are equal in a package too: it holds the exponential of a scale, and a softmax of the weights of
    frames, as fp16 numbers. Drawn without a thought to that, they are rounded, which alone moves results by 2e-4."""
    if name.endswith(".log_scale"):
        return np.log(np.exp(value).astype(np.float16).astype(np.float64)).astype(np.float32)
    if name.endswith(("downsample.bias", "downsample_output.bias")):
        shares = 2 + np.arange(len(value)) - (len(value) - 1) / 2  # of a sum that is a power of two
        return np.log(shares).astype(np.float32)
    return value


def swoosh_r(x: Any) -> Any:
    return torch.logaddexp(torch.zeros(()), x - 1) - 0.08 * x - 0.313261687


def swoosh_l(x: Any) -> Any:
    return torch.logaddexp(torch.zeros(()), x - 4) - 0.08 * x - 0.035


def compact(distance: Any) -> Any:
    """The vectors of distances: cosines and sines of multiples of an arc tangent, the last sine being 1."""
    root = ENCODED**0.5
    far = root * distance.sign() * ((distance.abs() + root).log() - log(root))
    angle = (far / (ENCODED / (2 * pi))).atan()[..., None] * torch.arange(1, ENCODED // 2 + 1)
    code = torch.stack([angle.cos(), angle.sin()], -1).flatten(-2)
    code[..., -1] = 1
    return code


class Zipformer:
    """Frames [T, width] of one utterance, as Yao et al. (2023), section 3, have them."""

    def __init__(self, proof: Proof) -> None:
        self.w = under(proof.weights, "encoder.")

    def dense(self, x: Any, name: str) -> Any:
        return F.linear(x, self.w[f"{name}.weight"], self.w.get(f"{name}.bias"))

    def norm(self, x: Any, name: str) -> Any:
        power = ((x - self.w[f"{name}.bias"]) ** 2).mean(-1, keepdim=True) + 1e-8
        return x / power.sqrt() * self.w[f"{name}.log_scale"].exp()

    def bypassed(self, old: Any, new: Any, name: str) -> Any:
        return old * (1 - self.w[f"{name}.scale"]) + new * self.w[f"{name}.scale"]

    def fed(self, x: Any, name: str) -> Any:
        return self.dense(swoosh_l(self.dense(x, f"{name}.in_proj")), f"{name}.out_proj")

    def convolved(self, x: Any, name: str) -> Any:
        y = F.glu(self.dense(x, f"{name}.in_proj"), -1).mT
        kernel = self.w[f"{name}.depthwise.weight"]
        y = F.conv1d(F.pad(y, (kernel.shape[-1] - 1, 0)), kernel, self.w[f"{name}.depthwise.bias"], groups=len(kernel))
        return self.dense(swoosh_r(y.mT), f"{name}.out_proj")

    def weights(self, x: Any, name: str, heads: int, within: int, before: int) -> Any:
        """[heads, T, S]."""
        t = torch.arange(len(x))
        begin = t[:, None] // within * within
        seen = (t >= begin - before) & (t < begin + within)
        q, k, p = self.dense(x, f"{name}.in_proj").split([heads * QUERY, heads * QUERY, heads * PLACE], -1)
        q, k, p = (each.view(len(x), heads, -1) for each in (q, k, p))
        places = F.linear(compact((t - t[:, None]).float()), self.w[f"{name}.linear_pos"])
        scores = torch.einsum("thw,shw->hts", q, k)
        scores = scores + torch.einsum("thw,tshw->hts", p, places.view(len(x), len(x), heads, -1))
        return scores.masked_fill(~seen, -torch.inf).softmax(-1)

    def attended(self, weights: Any, v: Any) -> Any:
        return torch.einsum("hts,shw->thw", weights, v.view(len(v), len(weights), -1)).flatten(1)

    def layer(self, x: Any, name: str, heads: int, within: int, before: int) -> Any:
        source = x
        weights = self.weights(x, f"{name}.self_attn_weights", heads, within, before)
        x = x + self.fed(x, f"{name}.feed_forward1")
        s, v, gate = self.dense(x, f"{name}.nonlin_in").chunk(3, -1)
        x = x + self.dense(self.attended(weights[:1], v * s.tanh()) * gate, f"{name}.nonlin_out")
        x = x + self.dense(self.attended(weights, self.dense(x, f"{name}.value1")), f"{name}.self_attn1")
        x = x + self.convolved(x, f"{name}.conv_module1")
        x = x + self.fed(x, f"{name}.feed_forward2")
        x = self.bypassed(source, x, f"{name}.bypass_mid")
        x = x + self.dense(self.attended(weights, self.dense(x, f"{name}.value2")), f"{name}.self_attn2")
        x = x + self.convolved(x, f"{name}.conv_module2")
        x = x + self.fed(x, f"{name}.feed_forward3")
        return self.bypassed(source, self.norm(x, f"{name}.norm"), f"{name}.bypass")

    def weighed(self, x: Any, name: str) -> Any:
        share = self.w[f"{name}.bias"].softmax(0)
        return (x.view(-1, len(share), x.shape[-1]) * share[:, None]).sum(1)

    def front(self, mel: Any) -> Any:
        """Convolutions over (mels, frames); a frame sees those before it, of a pair both."""
        y = mel.mT[None, None]
        steps = [("conv1", 1, 1, (2, 0)), ("conv2", 2, 2, (1, 1)), ("conv3", 2, 1, (2, 0))]
        for name, down, along, pad in steps:
            w, b = (self.w[f"encoder_embed.{name}.{kind}"] for kind in ("weight", "bias"))
            y = swoosh_r(F.conv2d(F.pad(y, (*pad, 1, 1)), w, b, stride=(down, along)))
        w, b = (self.w[f"encoder_embed.depthwise.{kind}"] for kind in ("weight", "bias"))
        z = F.conv2d(F.pad(y, (6, 0, 3, 3)), w, b, groups=len(w))
        for name in ("pointwise1", "pointwise2"):
            z = F.conv2d(z, *(self.w[f"encoder_embed.{name}.{kind}"] for kind in ("weight", "bias")))
            z = swoosh_l(z) if name == "pointwise1" else z
        return self.norm(self.dense((y + z)[0].flatten(0, 1).mT, "encoder_embed.out"), "encoder_embed.out_norm")

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            x, outputs = self.front(torch.tensor(mel[0])), []
            for i, (factor, width, heads) in enumerate(zip(SIZES["factors"], SIZES["widths"], SIZES["heads"])):
                x = F.pad(x, (0, width - x.shape[-1]))  # cuts as well
                y = self.weighed(x, f"encoders.{i}.stack.downsample") if factor > 1 else x
                y = self.layer(y, f"encoders.{i}.stack.layers.0.layer", heads, WITHIN // factor, BEFORE // factor)
                if factor > 1:
                    y = self.bypassed(x, y.repeat_interleave(factor, 0), f"encoders.{i}.stack.out_combiner")
                x = y
                outputs.append(x)
            x = torch.cat([x, outputs[2][:, x.shape[-1] :]], -1)
            return np.asarray(self.dense(self.weighed(x, "downsample_output"), "ctc").log_softmax(-1))[None]


def test_log_probabilities_are_those_of_the_equations(proof: Proof) -> None:
    want = Zipformer(proof)(MEL)
    assert largest_error(proof.by_torch("encoder", {"mel": MEL})["log_probs"], want) <= LIMIT
    assert largest_error(proof.by_package("encoder", {"mel": MEL})["log_probs"], want) <= LIMIT


@pytest.mark.slow
def test_chunks_of_any_number_of_blocks_equal_the_whole(proof: Proof) -> None:
    whole = proof.by_reference("encoder", {"mel": MEL})["log_probs"]
    for chunks in ([16], [48, 16]):
        assert largest_error(proof.by_chunks("encoder", {"mel": MEL}, chunks)["log_probs"], whole) <= 1e-9


def test_the_package_has_no_transpose_and_no_error_of_the_linter(proof: Proof) -> None:
    assert "transpose" not in proof.ops()
    (package,) = proof.built["ane"].folder.glob("*.mlpackage")
    report = check_package(read_package(package), table().rules.values())
    assert not [finding for finding in report.findings if finding.severity is Severity.ERROR]
