"""Failures that have nothing to do with the evaluator, and ops that no test reaches, each with the reason."""

from __future__ import annotations

from bench.conformance.case import Case

LEFT_OUT: dict[str, str] = {
    "classify": "its results, a label and a dictionary, aren't tensors, so no test evaluates a program of it",
    "conv_quantized": "experimental, says its documentation; no converter writes it and the evaluator doesn't have it",
}
"""Why an op isn't evaluated."""

EXPLAINED: tuple[tuple[str, str, str], ...] = (
    (
        "TestPReLU::test_builder_to_backend_smoke",
        "is only supported when all the values of alpha are same",
        "coremltools doesn't convert a prelu of rank 3 with several slopes (marked as failing)",
    ),
    (
        "TestNormalizationBatchNorm::test_builder_to_backend_smoke",
        "TypeMismatch",
        "coremltools writes a batch_norm of iOS 15 with x fp32, statistics and result fp16; the evaluator refuses it",
    ),
    (
        "TestNormalizationLocalResponseNorm::test_builder_to_backend_smoke",
        "Not equal to tolerance",
        "the first of three axes is taken for the channels, as neural networks do; the documentation says the second",
    ),
    (
        "scale_factor=(0.5, 0.75)-align_corners=False-recompute_scale_factor=False",
        "Not equal to tolerance",
        "torch samples by the factor where the new size is a fraction, MIL by the sizes (marked as failing)",
    ),
    (
        "iOS15/test_image_resizing.py::TestCropResize",
        "Not equal to tolerance",
        "the box runs backwards and lies off the image, where the documentation allows none",
    ),
    (
        "TestCropResize::test_builder_to_backend_ios",
        "7.900000095367432 (ACTUAL), 7.89900016784668 (DESIRED) Max absolute",
        "the expected value is written as 7.899, it is 7.9",
    ),
    (
        "TestResample::test_builder_to_backend_smoke",
        "assert 0 == 2",
        "the test counts the casts of an fp16 program",
    ),
    (
        "test_ios17_invalid_indices",
        "DID NOT RAISE AssertionError",
        "the test wants a result that differs from the valid one for indices out of range, which are undefined",
    ),
    (
        "test_ios17_invalid_indices",
        "Unable to compute the prediction",
        "the test wants some result for indices out of range, which are undefined; the evaluator refuses them",
    ),
    ("test_efficient_type_inference", "time", "the test asserts a time of the builder"),
    (
        "TestSliceUpdate::test_builder_eval_scalar_corner_cases",
        "is not supported in 'slice_update'",
        "coremltools doesn't build it (marked as failing)",
    ),
)
"""A part of a test's name, a part of what went wrong (both must be found), and the reason."""


def why(case: Case) -> str | None:
    """The reason why a failed case doesn't count, None where it does."""
    for test, message, reason in EXPLAINED:
        if test in case.test and message in case.reason:
            return reason
    return None
