"""What the scan op does besides the scan: softplus of the step sizes before it, the gate y * silu(z) behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mctc.ir.program import Op, Value
from mctc.targets.torch.tree import Flow


@dataclass(frozen=True)
class Fused:
    """A scan with what was drawn into it. `delta` and `z` go in; `result` is what its first result then is."""

    delta: Value
    softplus: bool
    z: Value | None
    result: Value


class Fusions:
    """The scans of one function, and the ops that are drawn into them.

    A step size that a batch's mask makes zero is masked behind the softplus: scans in `masked` keep theirs outside.
    """

    def __init__(self, flow: Flow, masked: set[Op]) -> None:
        self.flow, self.masked = flow, masked
        self.position = {op: index for index, op in enumerate(flow.function.ops)}
        self.home = {item: node for node in flow.root.nodes() for item in node.items if isinstance(item, Op)}
        self.drawn: set[Op] = set()
        scans = [op for op in flow.function.ops if op.name == "selective_scan"]
        self.scans: Mapping[Op, Fused] = {op: self._fuse(op) for op in scans}

    def _fuse(self, scan: Op) -> Fused:
        delta, y = scan.operand("delta"), scan.results[0]
        assert delta is not None
        softplus = self._alone(delta, scan)
        masked = scan in self.masked or scan.operand("mask") is not None
        if softplus is not None and softplus.name == "softplus" and not masked:
            self.drawn.add(softplus)
            delta = softplus.operands[0]
            assert delta is not None
        else:
            softplus = None
        z, result = self._gate(scan, y)
        return Fused(delta, softplus is not None, z, result)

    def _gate(self, scan: Op, y: Value) -> tuple[Value | None, Value]:
        users = self.flow.uses.get(y, [])
        product = users[0] if len(users) == 1 and y not in self.flow.function.outputs else None
        if product is None or product.name != "mul" or not self._together(product, scan):
            return None, y
        other = product.operands[1] if product.operands[0] is y else product.operands[0]
        silu = self._alone(other, product) if other is not None else None
        z = silu.operands[0] if silu is not None and silu.name == "silu" else None
        if silu is None or z is None or z.type != y.type or self._made(z) > self.position[scan]:
            return None, y
        self.drawn |= {silu, product}
        return z, product.result

    def _alone(self, value: Value, user: Op) -> Op | None:
        """The op that makes a value for this user only, in the same instance."""
        maker = value.owner
        if maker is None or self.flow.uses.get(value) != [user] or value in self.flow.function.outputs:
            return None
        return maker if self._together(maker, user) else None

    def _together(self, a: Op, b: Op) -> bool:
        return a in self.home and self.home[a] is self.home.get(b)

    def _made(self, value: Value) -> int:
        return -1 if value.owner is None else self.position[value.owner]
