"""What nobody reads is removed."""

from __future__ import annotations

from mctc.passes.dead_code import DeadCode


def test_ops_and_parameters_that_nobody_reads_are_removed(rewrites):
    head = "program @m { dim B: batch dim T: time source @a: f32[4, 1, 1] = normal() source @b: f32[4, 1, 1] = ones()"
    inputs = "function @f(%x: f32[batch B, channel 4, unit 1, time T])"
    before = f"""{head} param @a param @b {inputs} {{
        %a = parameter @a
        %b = parameter @b
        %dead = mul(%x, %b)
        %deader = exp(%dead)
        %y = mul(%x, %a)
        return out = %y
    }} }}"""
    after = f"{head} param @a {inputs} {{ %a = parameter @a %y = mul(%x, %a) return out = %y }} }}"
    rewrites(DeadCode, before, after)


def test_what_only_a_state_reads_stays(rewrites):
    text = """program @m { function @f(%x: f32[batch 1, channel 4, unit 1, time 2]) {
        state %h: f32[batch 1, channel 4, unit 1, time 2]
        %y = add(%x, %h)
        next %h = %y
        return out = %x
    } }"""
    rewrites(DeadCode, text, text)
