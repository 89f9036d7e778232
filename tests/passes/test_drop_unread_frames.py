"""A convolution that stops at the same frame needs no slice before it."""

from __future__ import annotations

from mctc.passes.drop_unread_frames import DropUnreadFrames


def program(body: str) -> str:
    return f"""program @m {{ source @w: f32[2, 4, 1, 3] = normal() param @w
        function @f(%x: f32[batch 1, channel 4, unit 1, time 10]) {{ %k = parameter @w {body} return out = %y }} }}"""


def test_the_last_frame_that_a_stride_skips_need_not_be_cut_off(rewrites):
    rewrites(
        DropUnreadFrames,
        program("%c = slice(%x, axis = 3, begin = 0, end = 9) %y = conv2d(%c, %k, stride = [1, 2])"),
        program("%y = conv2d(%x, %k, stride = [1, 2])"),
    )


def test_a_slice_that_changes_the_result_stays(rewrites):
    for cut in ("begin = 0, end = 8", "begin = 1"):
        text = program(f"%c = slice(%x, axis = 3, {cut}) %y = conv2d(%c, %k, stride = [1, 2])")
        rewrites(DropUnreadFrames, text, text)


def test_padding_on_the_right_counts_from_the_cut(rewrites):
    text = program("%c = slice(%x, axis = 3, begin = 0, end = 9) %y = conv2d(%c, %k, stride = [1, 2], pad = [0, 1])")
    rewrites(DropUnreadFrames, text, text)
