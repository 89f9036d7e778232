"""Outputs and the values that are written to a state."""

from __future__ import annotations

import pytest

from tests.linter.coreml.conftest import Messages

PROGRAM = """
    s: state[fp16[1, 8]]
    x: fp16[1, 8]
    r: fp16[1, 8] = read_state(input=s)
    a: fp16[1, 8] = add(x=r, y=x)
    v: fp16[1, 8, 1] = expand_dims(x=a, axes=[2])
    w: fp16[1, 8] = squeeze(x=v, axes=[2])
    z: fp16[1, 8] = mul(x=a, y=1.0)
    {write}
    return {output}
"""


@pytest.mark.parametrize(
    ("write", "output", "itself", "feeding"),
    [
        ("write_state(input=s, data=a)", "a", True, False),
        ("write_state(input=s, data=a)", "z", False, False),
        ("write_state(input=s, data=w)", "v", True, False),
        ("write_state(input=s, data=w)", "a", True, False),
        ("write_state(input=s, data=z)", "a", False, True),
        ("u: fp16[1, 8] = coreml_update_state(state=s, value=a)", "a", True, False),
        ("u: fp16[1, 8] = coreml_update_state(state=s, value=a)", "u", False, False),
        ("write_state(input=s, data=a)", "r", False, True),
    ],
)
def test_an_output_is_the_written_value_or_goes_into_it(
    messages: Messages, write: str, output: str, itself: bool, feeding: bool
) -> None:
    program = PROGRAM.format(write=write, output=output)
    assert bool(messages("ANE-ST-008", program)) is itself
    assert bool(messages("ANE-ST-008b", program)) is feeding
