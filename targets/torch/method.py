"""The statements of one method: `forward` over whole utterances, or `step` over one chunk."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import field

from mctc.driver.names import identifier
from mctc.ir.ops.leaf import Leaf, parameter_of
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import Concat
from mctc.ir.program import Op, State, Value
from mctc.ir.types import TensorType
from mctc.records import dataclass
from mctc.targets.torch.component import Component
from mctc.targets.torch.expressions import Expression, Text
from mctc.targets.torch.expressions.channel import filled
from mctc.targets.torch.expressions.text import as_expression, call
from mctc.targets.torch.loops import Loop
from mctc.targets.torch.recurrence import Recurrence, with_recurrences
from mctc.targets.torch.scan_fusion import Fused
from mctc.targets.torch.tree import Node, index_text

LONGEST = 64  # characters of an expression that is written inside another one
CLASS = "@class"  # stands for the class's own name until it has one
LOCALS = ("self", "state", "layer", "carried", "after", "lengths", "zip", "tuple", "range", "float")
WORD = re.compile(r"[^\W\d]\w*")
TAKEN = frozenset({*keyword.kwlist, *LOCALS})
Item = Op | Node | Loop


@dataclass
class Method:
    """What a method's text is made of. `arguments` are values by name, `lines` the body, `results` what it returns."""

    node: Node
    arguments: list[tuple[str, Value]]
    valid: bool
    lines: list[str] = field(default_factory=list)
    results: list[Value] = field(default_factory=list)
    fields: list[tuple[str, State | Node | Loop]] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)


class Writer:
    """Writes the method of one node of a component's tree, after those of the nodes inside; `loop` writes a scan."""

    def __init__(self, component: Component, node: Node, loop: Callable[[Writer, Recurrence], None]) -> None:
        self.component, self.node, self.flow, self.loop = component, node, component.flow, loop
        items = [item for item in component.items(node) if item not in component.fusions.drawn]
        self.items: Sequence[Item | Recurrence] = with_recurrences(
            items, component.function.ops, self.flow.inputs(node)
        )
        self.results = self._leaving()
        self.own = self.flow.states.get(node, [])
        self.fields = component.fields(node)
        self.hints = {state.update: self.fields[state] for state in self.own}
        self.carriers = component.carriers(node)
        self.carried: dict[Node | Loop, str] = {}
        self.env: dict[Value, Expression] = {}
        self.bound: dict[str, Value] = {}
        self.lines: list[str] = []
        self.imports: set[str] = set()
        self.position = 0
        self.taken = TAKEN | component.imported
        self.look_ahead()

    def write(self) -> Method:
        inputs = self._inputs()
        for position, item in enumerate(self.items):
            self.position = position
            self.write_item(item)
        self._return()
        fields = [(name, item) for item, name in self.fields.items()]
        valid = self.component.needs_valid(self.node)
        return Method(self.node, inputs, valid, self.lines, self.results, fields, self.imports)

    def write_item(self, item: Item | Recurrence) -> None:
        if isinstance(item, Recurrence):
            self.loop(self, item)
        elif isinstance(item, Loop):
            self._rounds(item)
        elif isinstance(item, Node):
            self._call(item)
        else:
            self._op(item)

    # what is used where

    def _leaving(self) -> list[Value]:
        if self.node is self.flow.root:
            return [value for _, value in self.flow.function.results]
        return self.flow.outputs(self.node)

    def look_ahead(self) -> None:
        """Counts the uses of every value in this method, and finds the last statement that needs it."""
        end = len(self.items)
        users: dict[Value, list[int]] = {}
        for position, item in enumerate(self.items):
            for value in self._read(item):
                users.setdefault(value, []).append(position)
        for value in [*self.results, *(state.update for state in self.own)]:
            users.setdefault(value, []).append(end)
        self.users, self.last = users, dict[Value, int]()
        at = {position: position for position in range(end + 1)}  # the statement in which an item is written
        for position in range(end - 1, -1, -1):
            made = self._made(self.items[position])
            alone = [value for value in made if self._inline(self.items[position], value)]
            if alone:
                at[position] = at[users[alone[0]][0]]
            for value in self._read(self.items[position]):
                self.last[value] = max(self.last.get(value, -1), at[position])
        for value in [*self.results, *(state.update for state in self.own)]:
            self.last[value] = end

    def _read(self, item: Item | Recurrence) -> list[Value]:
        """The values that an item uses, a value twice where it is used twice."""
        if isinstance(item, Recurrence):
            return item.read
        if isinstance(item, Loop):
            return [item.entry, *item.others]
        if isinstance(item, Node):
            return self.flow.inputs(item)
        fused = self.component.fusions.scans.get(item)
        if fused is None:
            return [value for value in item.operands if value is not None]
        names = [operand.name for operand in item.fields]
        given = {name: value for name, value in zip(names, item.operands) if value is not None}
        return [*({**given, "delta": fused.delta}.values()), *([fused.z] if fused.z is not None else [])]

    def _made(self, item: Item | Recurrence) -> list[Value]:
        if isinstance(item, Recurrence):
            return list(item.loop.close.results)
        if isinstance(item, Loop):
            return [item.last]
        if isinstance(item, Node):
            return self.flow.outputs(item)
        fused = self.component.fusions.scans.get(item)
        return list(item.results) if fused is None else [fused.result, *item.results[1:]]

    def _inline(self, item: Item | Recurrence, value: Value) -> bool:
        """Whether a value is written where it is used: it is used once, alone, and has no name in the spec."""
        users = self.users.get(value, [])
        if isinstance(item, (Loop, Recurrence)) or len(users) != 1 or self._used(self._made(item)) != [value]:
            return False
        if isinstance(item, Node) and self.flow.carried(item):
            return False
        if users[0] == len(self.items):  # it is returned: its name would be read once
            return value in self.results
        return not value.name and not isinstance(self.items[users[0]], (Loop, Recurrence))

    def _used(self, values: Sequence[Value]) -> list[Value]:
        return [value for value in values if value in self.users]

    # names

    def _inputs(self) -> list[tuple[str, Value]]:
        values = self.flow.inputs(self.node)
        if self.node is self.flow.root:
            values = [*self.flow.function.inputs, *(v for v in values if v not in self.flow.function.inputs)]
        named: list[tuple[str, Value]] = []
        self.position = -1  # they all live at once
        computed = [value for value in values if self.node is self.flow.root and self.component.is_computed(value)]
        for value in values:
            if value not in computed:
                hint = parameter_of(value).rpartition(".")[2] or value.name
                hint = "x" if not hint or (len(values) == 1 and self.node is not self.flow.root) else hint
                named.append((self._free(hint, value), value))
                self.env[value] = Expression(named[-1][0])
        return named + self._tensors(computed)

    def _tensors(self, computed: Sequence[Value]) -> list[tuple[str, Value]]:
        """The tensors that parameters of the whole model are computed from here, each once."""
        given: dict[str, tuple[str, Value]] = {}
        for value in computed:
            for source in self.component.sources(value):
                if source.name not in given:
                    tensor = Value(source.type)
                    self.last[tensor] = len(self.items)
                    given[source.name] = (self._free(source.name.rpartition(".")[2], tensor), tensor)
            texts = {name: Expression(argument) for name, (argument, _) in given.items()}
            self.env[value] = self.component.computed(value, self.node, texts)
        return list(given.values())

    def local(self, type_: TensorType, hint: str) -> str:
        """A name that no other value of the method gets from here on."""
        value = Value(type_)
        self.last[value] = len(self.items)
        return self._free(hint, value)

    def _free(self, hint: str, value: Value, but: Collection[str] = ()) -> str:
        """A name for a value: the hint, unless that is taken, one of `but`, or of another value still needed."""
        hint = identifier(hint)
        hint = f"{hint}_" if hint in self.taken or (hint == "valid" and not self.component.streams) else hint
        name, number = hint, 0
        unfit = self.taken.union(but)
        while name in unfit or (name in self.bound and self.last.get(self.bound[name], -1) > self.position):
            number += 1
            name = f"{hint}{number}"
        self.bound[name] = value
        return name

    def _settle(self, item: Item, made: Sequence[Value], text: Expression, hint: str = "y") -> None:
        """Keeps an item's expression for its one use, or writes a statement that names its results."""
        used = self._used(made)
        self.imports |= text.imports
        if len(made) > 1 and used == [made[0]]:
            text, made = Expression(f"{text.atom}[0]", text.imports), made[:1]
        if len(made) == 1 and self._inline(item, made[0]) and self._fits(made[0], text):
            self.env[made[0]] = text
            return
        self.assign(made, text, hint)

    def _fits(self, value: Value, text: Expression) -> bool:
        return len(text.text) <= LONGEST or self.users[value] == [len(self.items)]

    def assign(self, made: Sequence[Value], text: Expression, hint: str = "y") -> None:
        self.lines.append(f"{', '.join(self._bind(made, hint))} = {text.text}")

    def _bind(self, made: Sequence[Value], hint: str = "y") -> list[str]:
        """Names for the results of an item; `_` for one that nothing reads."""
        hints = [self.hints.get(value) or value.name or hint for value in made]
        names = [self._free(each, value) if value in self.users else "_" for each, value in zip(hints, made)]
        for value, name in zip(made, names):
            self.env[value] = Expression(name)
        return names

    # statements

    def __getitem__(self, value: Value) -> Expression:
        """What a value is written as here."""
        if value not in self.env:
            if isinstance(value.owner, Leaf):
                return self.component.leaf(value.owner, self.node)
            state = next(state for state in self.own if state.value is value)
            return Expression(f"state.{self.fields[state]}")
        return self.env[value]

    def _operands(self, op: Op) -> list[Expression | None]:
        """Its operands, with ones in frames of padding where it would not be finite."""
        ones = self.component.ones.get(op, {})
        given = [None if value is None else self[value] for value in op.operands]
        for at, mask in ones.items():
            value, text = op.operands[at], given[at]
            if value is not None and text is not None:
                given[at] = filled(text, value.type, self.exist(mask), 1.0)
        return given

    def exist(self, mask: Text) -> Expression:
        """The mask of the frames that are written here: of all."""
        return as_expression(mask)

    def _op(self, op: Op) -> None:
        fused = self.component.fusions.scans.get(op)
        valid = self.component.valid(op)
        built = self.component.layers.get(op.origin.path)
        if isinstance(op, SelectiveScan) and fused is not None:
            self._settle(op, self._made(op), self._scan(op, fused, valid))
        elif built is not None and type(built) is type(op):
            module = f"self.{op.origin.path[len(self.node.path) + 1 :]}"
            text = self.component.layer_call(built, op, module, self._operands(op), valid)
            attribute = module.rpartition(".")[2]
            self._settle(op, op.results, text, "y" if len(op.results) > 1 or attribute in self.taken else attribute)
        else:
            operands = self._operands(op)
            joined = operands[-1].text if isinstance(op, Concat) and operands[-1] is not None else ""
            rate = self.component.rates.get(op)
            held = {} if rate is None else {"rate": Expression(f"self.{rate}")}
            text = self.component.express(self._form(op), operands, valid, held)
            self._settle(op, op.results, text, joined if joined.isidentifier() else "y")

    def _form(self, op: Op) -> Op:
        """The op whose types its text is written for."""
        return op

    def _scan(self, op: SelectiveScan, fused: Fused, valid: Text | None) -> Expression:
        operands = [None if v is None else self[fused.delta if v is op.delta else v] for v in op.operands]
        text = self.component.express(op, operands, valid)
        more = {} if fused.z is None else {"z": self[fused.z]}
        more |= {"softplus": Expression("True")} if fused.softplus else {}
        if not more:
            return text
        extra = call(Expression(""), **more)
        return Expression(f"{text.text[:-1]}, {extra.text[1:]}", text.imports | extra.imports)

    def _call(self, child: Node) -> None:
        carries, made = bool(self.flow.carried(child)), self.flow.outputs(child)
        module = f"self.{child.attribute}" + index_text(child, self.node)
        arguments = [self[value] for value in self.flow.inputs(child)] + self._valid(child)
        if carries:
            arguments.append(Expression(f"state.{self.fields[child]}"))
        text = call(Expression(f"{module}.step" if self.component.has_step(child) else module), *arguments)
        if not carries:
            self._settle(child, made, text)
            return
        names = self._bind(made)
        self.lines.append(f"{', '.join([*names, self._carry(child)])} = {text.text}")

    def _carry(self, item: Node | Loop) -> str:
        """A name for the new state of an item, which is kept to the end."""
        value = Value(self.results[0].type)
        self.last[value] = len(self.items)
        self.carried[item] = self._free(self.fields[item], value)
        return self.carried[item]

    def _valid(self, child: Node) -> list[Expression]:
        return [Expression("valid")] if self.component.needs_valid(child) else []

    def _rounds(self, rounds: Loop) -> None:
        """`for layer in self.layers: x = layer(x)`."""
        child, start = rounds.nodes[0], self[rounds.entry]
        beside = {word for value in rounds.others for word in WORD.findall(self[value].text)}  # read in every round
        name = self._free(rounds.last.name or "x", rounds.last, beside)
        if start.text != name:
            self.lines.append(f"{name} = {start.text}")
        self.env[rounds.last] = Expression(name)
        taken = [Expression(name) if value is rounds.entry else self[value] for value in self.flow.inputs(child)]
        texts = ", ".join(each.text for each in [*taken, *self._valid(child)])
        self.imports |= frozenset().union(*(each.imports for each in taken))
        layers = child.attribute
        if self.flow.carried(child):
            new = self._carry(rounds)
            self.lines += [
                f"{new} = []",
                f"for layer, carried in zip(self.{layers}, state.{self.fields[rounds]}, strict=True):",
                f"    {name}, after = layer.step({texts}, carried)",
                f"    {new}.append(after)",
            ]
            return
        call_text = self.component.repeat.format(texts)
        if self.component.streams:
            call_text = f"layer.step({texts})" if self.component.has_step(child) else f"layer({texts})"
        self.lines += [f"for layer in self.{layers}:", f"    {name} = {call_text}"]

    def _return(self) -> None:
        self.position = len(self.items)
        texts = [self[value].text for value in self.results]
        if self.own or self.carriers:
            new = [self[state.update].text for state in self.own]
            names = ((item, self.carried[item]) for item in self.carriers)
            new += [f"tuple({name})" if isinstance(item, Loop) else name for item, name in names]
            texts.append(f"{CLASS}State({', '.join(new)})")
        for value in self.results:
            self.imports |= self[value].imports
        self.lines.append(f"return {', '.join(texts)}")
