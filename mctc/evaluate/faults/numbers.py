"""Faults that compute other numbers than they should."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mctc.evaluate.faults.fault import Arguments, Fault, Sites, View, Wrong, as_floats, is_half

HALF_LARGEST = 65504.0
HALF_LEAST = np.float32(2.0**-14)
SOFTPLUS_CLIFF = float(np.log(32768.0))
LOG_OF_ZERO = np.float32(-45440.0)
ROUNDING = ("floor", "ceil", "round")
BATCH = 10


def _in_half(*types: str, wrong: Wrong) -> Callable[[View], Sites]:
    """All ops of these types whose x is fp16."""

    def sites(view: View) -> Sites:
        return Sites({op.index: wrong for op in view.of_type(*types) if is_half(view.type_of(op, "x"))})

    return sites


def _every(*types: str, wrong: Wrong) -> Callable[[View], Sites]:
    def sites(view: View) -> Sites:
        return Sites({op.index: wrong for op in view.of_type(*types)})

    return sites


def _softplus(right: Callable[[], Any], given: Arguments) -> Any:
    return np.where(as_floats(given["x"]) >= SOFTPLUS_CLIFF, np.float32(0), right())


def _log_sum_exp(right: Callable[[], Any], _: Arguments) -> Any:
    made = as_floats(right())
    return np.where(made > np.log(HALF_LARGEST), np.float32(0), made)


def _unchanged(_: Callable[[], Any], given: Arguments) -> Any:
    return given["x"]


def _half_away(_: Callable[[], Any], given: Arguments) -> Any:
    x = as_floats(given["x"])
    return np.copysign(np.floor(np.abs(x) + np.float32(0.5)), x)


def _remainder(_: Callable[[], Any], given: Arguments) -> Any:
    return np.mod(np.asarray(given["x"]), np.asarray(given["y"]))


def _log(right: Callable[[], Any], given: Arguments) -> Any:
    return np.where(np.abs(as_floats(given["x"])) < HALF_LEAST, LOG_OF_ZERO, right())


def _flushed(value: Any) -> Any:
    x = as_floats(value)
    return np.where(np.abs(x) < HALF_LEAST, np.float32(0), x)


def _root(_: Callable[[], Any], given: Arguments) -> Any:
    return np.sqrt(_flushed(given["x"]))


def _inverse_root(_: Callable[[], Any], given: Arguments) -> Any:
    with np.errstate(divide="ignore"):
        return np.float32(1) / np.sqrt(_flushed(as_floats(given["x"]) + as_floats(given.get("epsilon", 0.0))))


def _quotient(_: Callable[[], Any], given: Arguments) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return as_floats(given["x"]) / _flushed(given["y"])


def _flushing(view: View) -> Sites:
    kinds: dict[str, Wrong] = {"sqrt": _root, "rsqrt": _inverse_root, "real_div": _quotient}
    return Sites({op.index: kinds[op.type] for op in view.of_type(*kinds) if is_half(view.type_of(op, "x"))})


def _casts(view: View) -> Sites:
    """The second of two casts, from a float to an integer and back: it gives what the first was given."""
    found: dict[int, Wrong] = {}
    for second in view.of_type("cast"):
        first = view.maker(second, "x")
        source = None if first is None or first.type != "cast" else view.type_of(first, "x")
        to = second.outputs[0].type
        if source is None or first is None or not source.dtype.startswith("fp"):
            continue
        middle = first.outputs[0].type
        if str(getattr(middle, "dtype", "")).startswith(("int", "uint")) and str(getattr(to, "dtype", "")).startswith(
            "fp"
        ):
            held: list[Any] = []
            found[first.index] = _keeping(held)
            found[second.index] = _kept(held)
    return Sites(found)


def _keeping(held: list[Any]) -> Wrong:
    def wrong(right: Callable[[], Any], given: Arguments) -> Any:
        held[:] = [given["x"]]
        return right()

    return wrong


def _kept(held: list[Any]) -> Wrong:
    return lambda _, __: as_floats(held[0])


def _batched_attention(view: View) -> Sites:
    """The second product of matmul, softmax and matmul over a first axis of ten and more."""
    found: dict[int, Wrong] = {}
    for operation in view.of_type("matmul"):
        scores = view.maker(operation, "x")
        batch = _leading(view, operation)
        if scores is not None and scores.type == "softmax" and batch >= BATCH and _from_product(view, scores):
            found[operation.index] = _nothing
    return Sites(found)


def _leading(view: View, operation: Any) -> int:
    type_ = view.type_of(operation, "x")
    shape = (type_.shape if type_ is not None else None) or ()
    return (shape[0] or 0) if len(shape) > 2 else 0


def _from_product(view: View, scores: Any) -> bool:
    """Whether the scores come from a matmul, through additions and products at most."""
    maker = view.maker(scores, "x")
    for _ in range(4):
        if maker is None or maker.type == "matmul":
            return maker is not None
        maker = view.maker(maker, "x") if maker.type in ("add", "mul", "real_div") else None
    return False


def _nothing(right: Callable[[], Any], _: Arguments) -> Any:
    return np.zeros_like(np.asarray(right()))


def _scales(view: View) -> Sites:
    """Products of two dequantised values that are quantised again: both with the second's scale."""
    found: dict[int, Wrong] = {}
    for operation in view.of_type("mul"):
        branches = [view.maker(operation, operand) for operand in ("x", "y")]
        again = any(user.type == "quantize" for user in view.users.get(operation.outputs[0].name, ()))
        if not again or any(each is None or each.type != "dequantize" for each in branches):
            continue
        scales = [view.value(each, "scale") for each in branches if each is not None]
        if all(scale is not None and np.size(scale) == 1 for scale in scales):
            found[operation.index] = _times(
                float(np.asarray(scales[1]).reshape(-1)[0] / np.asarray(scales[0]).reshape(-1)[0])
            )
    return Sites(found)


def _times(ratio: float) -> Wrong:
    return lambda right, _: as_floats(right()) * np.float32(ratio)


NUMBERS = (
    Fault(
        name="softplus-cliff",
        summary="softplus is 0 from 10.4 on: log(1 + exp(x)) as it is written",
        where="Neural Engine",
        systems="M4 with macOS 26 (coremltools 9), M5 with macOS 26.5 past Core ML",
        source="apple/coremltools #2687, #2725; sbryngelson/ANEForge #113",
        rule="ANE-NM-016",
        sites=_in_half("softplus", wrong=_softplus),
    ),
    Fault(
        name="log-sum-exp-cliff",
        summary="reduce_log_sum_exp is 0 where the sum of exponentials leaves fp16",
        where="Neural Engine",
        systems="M1 to M4, macOS 26",
        source="apple/coremltools #2690, #2726",
        rule="ANE-NM-017",
        sites=_in_half("reduce_log_sum_exp", wrong=_log_sum_exp),
    ),
    Fault(
        name="subnormal-flush",
        summary="what goes into a root or divides is 0 below 6.1e-05",
        where="Neural Engine",
        systems="M5 with macOS 26.5, past Core ML",
        source="sbryngelson/ANEForge #263",
        rule="ANE-NM-013",
        sites=_flushing,
    ),
    Fault(
        name="log-of-zero",
        summary="log of 0, and of what is below 6.1e-05, is -45440",
        where="Neural Engine",
        systems="M1, past Core ML",
        source="sbryngelson/ane-guide 03-numerics",
        rule="ANE-NM-005",
        sites=_in_half("log", wrong=_log),
    ),
    Fault(
        name="round-away",
        summary="round takes halves away from zero",
        where="Neural Engine, H16 to H18G",
        systems="M6 with macOS 27.0.1",
        source="751K/Apple-Neural-Engine-Microarchitecture-Study-M6 defects.md C5",
        rule="ANE-NM-007",
        sites=_in_half("round", wrong=_half_away),
    ),
    Fault(
        name="identity-floor",
        summary="floor, ceil and round give what they are given",
        where="GPU, in Core AI",
        systems="OS 27 (betas)",
        source="john-rocky/coreai-model-zoo, its table of silent errors (#10)",
        sites=_every(*ROUNDING, wrong=_unchanged),
    ),
    Fault(
        name="dropped-casts",
        summary="a cast to an integer and back to a float is dropped, so nothing is cut off",
        where="Core AI",
        systems="OS 27 (betas)",
        source="john-rocky/coreai-model-zoo, its table of silent errors (#9)",
        sites=_casts,
    ),
    Fault(
        name="mod-sign",
        summary="mod has the divisor's sign, as documented (-7 mod 3 is 2), where the runtime was seen to give -1",
        where="not told",
        systems="none: the other side of a contested fact",
        source="coremltools' documentation, against kasper0406/stablehlo-coreml #70",
        sites=_every("mod", wrong=_remainder),
    ),
    Fault(
        name="attention-batch-10",
        summary="matmul, softmax and matmul over a batch of ten and more is wrong",
        where="GPU",
        systems="macOS 26.2, coremltools 8.3 and 9.0",
        source="apple/coremltools #2650",
        rule="ANE-AT-020",
        sites=_batched_attention,
        known=False,
    ),
    Fault(
        name="wrong-scale",
        summary="of two quantised factors the first is read with the second's scale",
        where="Neural Engine",
        systems="M5 Pro with macOS 27.0, coremltools 9.0",
        source="cadamcat/llms-on-apple-neural-engine findings/coreai-qdq-multiply-scale; apple/coreai-torch #112",
        rule="ANE-NM-009",
        sites=_scales,
    ),
)
