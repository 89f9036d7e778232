"""Faults in how numbers are held in fp16, in tied tables and in kernels over a device's limit."""

from __future__ import annotations

from ..fault import Fault

ROUND = "tests/passes/test_round_numbers.py"
FACTOR = "tests/passes/test_factor_numbers.py"
KERNELS = "tests/passes/test_split_kernels.py"
QUANTIZATION = "tests/passes/test_annotate_quantization.py"

FAULTS = (
    Fault(
        name="numbers-left-exact",
        file="passes/round_numbers.py",
        what="factors and epsilons keep their double precision in the program",
        old="if held == value:",
        new="if held != value or held == value:",
        caught_by=ROUND,
    ),
    Fault(
        name="numbers-rounded-for-fp32",
        file="passes/round_numbers.py",
        what="numbers are rounded where artifacts store fp32",
        old='if context.precision != "fp16" or',
        new='if context.precision == "none" or',
        caught_by=ROUND,
    ),
    Fault(
        name="epsilon-dropped",
        file="passes/factor_numbers.py",
        what="a sum with a small number becomes the sum without it",
        old="least = self._scaled_by(self.op(Div, base, m), floor.ratio)",
        new="least = self._scaled_by(self.op(Div, base, m), 0.0)",
        caught_by=FACTOR,
    ),
    Fault(
        name="floor-of-squares-once",
        file="passes/factor_numbers.py",
        what="a quotient by a sum of squares is divided by the largest magnitude once",
        old="a = new.op(Div, a, m)\n    new.note",
        new="a = a\n    new.note",
        caught_by=FACTOR,
    ),
    Fault(
        name="norm-by-its-own-epsilon",
        file="passes/legalise.py",
        what="a norm whose epsilon fp16 makes 0 is left to the stack's own op: NaN on silence",
        old='UNHELD if context.precision == "fp16" else ()',
        new="()",
        caught_by=FACTOR,
    ),
    Fault(
        name="epsilon-of-another-base",
        file="passes/legalise.py",
        what="the epsilon of a norm in plain ops is divided by the base once, not twice",
        old="factor=epsilon / base**2)",
        new="factor=epsilon / base)",
        caught_by="tests/passes/test_legalise_coreai.py",
    ),
    Fault(
        name="mask-scaled-away",
        file="passes/numbers/substitutes.py",
        what="a mask becomes one that still counts",
        old="MASK = 3e4\n",
        new="MASK = 3.0\n",
        caught_by=f"{ROUND}::test_a_mask_hides_what_it_did",
    ),
    Fault(
        name="mask-that-is-a-result",
        file="passes/numbers/substitutes.py",
        what="a number that leaves the function is taken for a mask",
        old="    if around.leaves(value) or not around.users(value):\n        return False\n    return all(_masks",
        new="    return all(_masks",
        caught_by=ROUND,
    ),
    Fault(
        name="scale-on-the-wrong-axis",
        file="passes/annotate_quantization.py",
        what="a table that is an output layer too has scales along its columns in one, along its rows in the other",
        old="0 if tied else channels_axis(each[2])",
        new="channels_axis(each[2])",
        caught_by=QUANTIZATION,
    ),
    Fault(
        name="scales-along-inputs",
        file="passes/lower_embedding.py",
        what="the one-hot product with a tied table gets a scale for each input, which leaves the engine",
        old="quantization=replace(how, expanded=True)",
        new="quantization=replace(how, expanded=False)",
        caught_by="tests/passes/test_lower_embedding.py",
    ),
    Fault(
        name="kernel-of-another-device",
        file="passes/split_kernels.py",
        what="kernels are cut to the width that an M4 takes whatever the device",
        old="family = find_device(context.device).family",
        new='family = find_device("m4").family',
        caught_by=KERNELS,
    ),
    Fault(
        name="kernel-pieces-undilated",
        file="passes/split_kernels.py",
        what="a piece of a dilated kernel sees what lies as many frames on as it has taps",
        old="begin = start * dilation",
        new="begin = start",
        caught_by=KERNELS,
    ),
    Fault(
        name="small-weights-lost",
        file="mctc/quantize.py",
        what="a channel whose scale fp16 makes 0 is stored as zeros",
        old="scale = np.maximum((peak / levels).astype(np.float16), np.float16(SMALLEST))",
        new="scale = (peak / levels).astype(np.float16) + np.float16(peak.max() < 1e-5)",
        caught_by="tests/test_quantize.py",
    ),
)
