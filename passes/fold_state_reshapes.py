"""States take the shape that the ops around them want."""

from __future__ import annotations

from mctc.ir.location import Origin
from mctc.ir.program import Function, Op, Program, State, Value
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.rewriter import Rewriter, rewrite_functions


class FoldStateReshapes(Pass):
    """A state that is reshaped after it is read and back before it is written is kept in that other shape."""

    name = "fold-state-reshapes"
    promise = Exact()
    stage = "deploy"

    def run(self, program: Program, context: Context) -> Program:
        return rewrite_functions(program, lambda new, function: _Folder(new, function, self.name).folded())


class _Folder(Rewriter):
    """Rebuilds a function with some of its states in another shape."""

    def folded(self) -> Function:
        function = self.function
        folded = {state: reads for state in function.states if (reads := self._reads(state))}
        for value in (*function.inputs, *(state.value for state in function.states if state not in folded)):
            self.bind(value, value)
        values: dict[Op, Value] = {}
        for state, reads in folded.items():
            values.update(dict.fromkeys(reads, Value(reads[0].result.type, state.name)))
        for op in function.ops:
            self.visit(op, lambda op, rewriter: values.get(op))
        self.origin = Origin(path=function.name).after(self.by, "a state is kept in the shape that it is used in")
        states = []
        for state in function.states:
            if state in folded:
                (source,) = state.update.owner.operands if state.update.owner else (None,)
                assert source is not None, "a folded state is written by a reshape"
                value = values[folded[state][0]]
                states.append(State(state.name, value, self.reshaped(self[source], value.type)))
            else:
                states.append(State(state.name, self[state.value], self[state.update]))
        return self.rebuilt(states)

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
