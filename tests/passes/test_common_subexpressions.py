"""Equal ops on equal operands are computed once."""

from __future__ import annotations

from mctc.passes.common_subexpressions import CommonSubexpressions


def program(body: str, parameters: str = "") -> str:
    head = f"program @m {{ dim B: batch dim T: time {parameters}"
    return f"{head} function @f(%x: f32[batch B, channel 4, unit 1, time T]) {{ {body} }} }}"


def test_equal_ops_are_computed_once_and_so_are_those_that_read_them(rewrites):
    before = """
        %a = relu(%x)
        %b = relu(%x)
        %c = scale(%a, factor = 2.0)
        %d = scale(%b, factor = 2.0)
        %y = mul(%c, %d)
        return out = %y"""
    after = "%a = relu(%x) %c = scale(%a, factor = 2.0) %y = mul(%c, %c) return out = %y"
    rewrites(CommonSubexpressions, program(before), program(after))


def test_ops_that_differ_in_an_attribute_or_the_order_of_operands_stay(rewrites):
    text = program("""
        %a = scale(%x, factor = 2.0)
        %b = scale(%x, factor = 3.0)
        %c = sub(%a, %b)
        %d = sub(%b, %a)
        %y = mul(%c, %d)
        return out = %y""")
    rewrites(CommonSubexpressions, text, text)


def test_constants_are_compared_by_value(rewrites):
    before = """
        %a = constant [[[1.0, 2.0]]]: f32[1, 1, 2]
        %b = constant [[[1.0, 2.0]]]: f32[1, 1, 2]
        %c = concat(%a, %b, axis = 1)
        return out = %x, both = %c"""
    after = """
        %a = constant [[[1.0, 2.0]]]: f32[1, 1, 2]
        %c = concat(%a, %a, axis = 1)
        return out = %x, both = %c"""
    rewrites(CommonSubexpressions, program(before), program(after))


def test_ops_of_two_functions_are_not_shared(rewrites):
    body = "(%x: f32[batch B, channel 4, unit 1, time T]) { %a = relu(%x) return out = %a }"
    text = f"program @m {{ dim B: batch dim T: time function @f{body} function @g{body} }}"
    rewrites(CommonSubexpressions, text, text)
