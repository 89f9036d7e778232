"""States take the shape that the ops around them want."""

from __future__ import annotations

from mctc.ir.location import Origin
from mctc.ir.ops.shape import Reshape, Transpose
from mctc.ir.program import Function, Op, Program, State, Value
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.rewriter import Rewriter, rewrite_functions


class FoldStateReshapes(Pass):
    """A state that is reshaped or transposed after it is read and back before it is written is kept in that shape."""

    name = "fold-state-reshapes"
    promise = Exact()
    stage = "deploy"

    def run(self, program: Program, context: Context) -> Program:
        return rewrite_functions(program, lambda new, function: _Folder(new, function, self.name).folded())


class _Folder(Rewriter):
    """Rebuilds a function with some of its states in another shape."""

    def folded(self) -> Function:
        function = self.function
        folded = {state: found for state in function.states if (found := self._reads(state))}
        for value in (*function.inputs, *(state.value for state in function.states if state not in folded)):
            self.bind(value, value)
        values: dict[Op, Value] = {}
        for state, (reads, _) in folded.items():
            values.update(dict.fromkeys(reads, Value(reads[0].result.type, state.name)))
        for op in function.ops:
            self.visit(op, lambda op, rewriter: values.get(op))
        self.origin = Origin(path=function.name).after(self.by, "a state is kept in the shape that it is used in")
        states = []
        for state in function.states:
            if state in folded:
                reads, source = folded[state]
                value = values[reads[0]]
                states.append(State(state.name, value, self.reshaped(self[source], value.type)))
            else:
                states.append(State(state.name, self[state.value], self[state.update]))
        return self.rebuilt(states)

    def _reads(self, state: State) -> tuple[list[Op], Value] | None:
        """The ops that read a state, if all bring it into the one shape that it is written from, and what that is."""
        users, writer = self.uses.get(state.value, []), state.update.owner
        if not users or state.value in self.kept or not isinstance(writer, (Reshape, Transpose)):
            return None
        found = [_same_form(user, writer) and user.result.type for user in users]
        return (users, writer.x) if all(found) and len(set(found)) == 1 else None


def _same_form(reader: Op, writer: Reshape | Transpose) -> bool:
    """Whether what a state is brought into after it is read is what it is brought back from before it is written."""
    if isinstance(reader, Transpose) and isinstance(writer, Transpose):
        return tuple(reader.order[axis] for axis in writer.order) == tuple(range(reader.x.type.rank))
    return (
        isinstance(reader, Reshape) and isinstance(writer, Reshape) and writer.x.type.shape == reader.result.type.shape
    )
