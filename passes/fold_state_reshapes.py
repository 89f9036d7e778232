"""States take the shape that the ops around them want."""

from __future__ import annotations

from dataclasses import replace

from mctc.ir.program import Function, Op, Program, State, Value
from mctc.ir.types import TensorType
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.rewriter import Rewriter, drop_dead


class FoldStateReshapes(Pass):
    """A state that is reshaped after it is read and back before it is written is kept in that other shape."""

    name = "fold-state-reshapes"
    promise = Exact()
    stage = "deploy"

    def run(self, program: Program, context: Context) -> Program:
        new = replace(program, functions={}, parameters=dict(program.parameters))
        for name, function in program.functions.items():
            new.functions[name] = _Folder(new, function, self.name).rebuilt()
        return drop_dead(new)


class _Folder(Rewriter):
    """Rebuilds a function with some of its states in another shape."""

    def rebuilt(self) -> Function:
        function = self.function
        folded = {state: reads for state in function.states if (reads := self._reads(state))}
        for value in (*function.inputs, *(state.value for state in function.states if state not in folded)):
            self._new[value] = Value(value.type, value.name)
        values: dict[Op, Value] = {}
        for state, reads in folded.items():
            values.update(dict.fromkeys(reads, Value(reads[0].result.type, state.name)))
            self.note(f"state {state.name} is kept as {reads[0].result.type}")
        for op in function.ops:
            if op in values:
                self._new[op.result] = values[op]
            else:
                self.visit(op, lambda op, rewriter: None)
        states = []
        for state in function.states:
            if state in folded:
                (source,) = state.update.owner.operands if state.update.owner else (None,)
                assert source is not None, "a folded state is written by a reshape"
                value = values[folded[state][0]]
                states.append(State(state.name, value, self._as(self._new[source], value.type)))
            else:
                states.append(State(state.name, self._new[state.value], self._new[state.update]))
        inputs = [self._new[value] for value in function.inputs]
        results = [(name, self._new[value]) for name, value in function.results]
        return replace(function, inputs=inputs, ops=self.ops, results=results, states=states)

    def _as(self, value: Value, type_: TensorType) -> Value:
        """The value with the roles of `type_`."""
        if value.type == type_:
            return value
        return self.op("reshape", value, axes=tuple((axis.role.value, axis.extent.value) for axis in type_.axes))

    def _reads(self, state: State) -> list[Op]:
        """The reshapes that read a state, if nothing else does, all to the one shape that it is written from."""
        users, writer = self.uses.get(state.value, []), state.update.owner
        if not users or any(op.name != "reshape" for op in users) or state.value in self.kept:
            return []
        type_ = users[0].result.type
        if writer is None or writer.name != "reshape" or any(op.result.type != type_ for op in users):
            return []
        source = writer.operands[0]
        return users if source is not None and source.type.shape == type_.shape else []
