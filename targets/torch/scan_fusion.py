"""What the scan op does besides the scan: softplus of the step sizes before it, the gate y * silu(z) behind it."""

from __future__ import annotations

from collections.abc import Mapping

from mctc.ir.ops.elementwise import Mul, Silu, Softplus
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.program import Op, Value
from mctc.records import dataclass
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
        scans = [op for op in flow.function.ops if isinstance(op, SelectiveScan)]
        self.scans: Mapping[Op, Fused] = {op: self._fuse(op) for op in scans}

    def _fuse(self, scan: SelectiveScan) -> Fused:
        delta, softplus = scan.delta, self._alone(scan.delta, scan)
        drawn = isinstance(softplus, Softplus) and scan not in self.masked and scan.mask is None
        if isinstance(softplus, Softplus) and drawn:
            self.drawn.add(softplus)
            delta = softplus.x
        return Fused(delta, drawn, *self._gate(scan, scan.results[0]))

    def _gate(self, scan: Op, y: Value) -> tuple[Value | None, Value]:
        users = self.flow.uses.get(y, [])
        product = users[0] if len(users) == 1 and y not in self.flow.function.outputs else None
        if not isinstance(product, Mul) or not self._together(product, scan):
            return None, y
        silu = self._alone(product.right if product.left is y else product.left, product)
        if not isinstance(silu, Silu) or silu.x.type != y.type or self._made(silu.x) > self.position[scan]:
            return None, y
        self.drawn |= {silu, product}
        return silu.x, product.result

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
