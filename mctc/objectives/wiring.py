"""Which result of a component each input of another one takes, as far as the objective says: what of an interface is
inside of the model, so that it can change on both sides at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mctc.ir.program import Function, Program, Value
from mctc.ir.types import Role
from mctc.objectives.components import FramesAndLabels, Hearing, Labels, Part
from mctc.objectives.fit import Fit, fit, hearing_of
from mctc.objectives.misfit import MisfitError
from mctc.objectives.settings import OBJECTIVES, complete
from mctc.objectives.transducers import Transducer
from mctc.records import dataclass

NO_OBJECTIVE = (
    "the model has no objective, which tells what reads the results of its components: "
    "`train { objective = rnnt(blank = 0) }`"
)


@dataclass(frozen=True)
class Wire:
    """A result of a component, by its name, and the input of another one that takes it."""

    maker: Function
    result: str
    reader: Function
    input: Value

    @property
    def value(self) -> Value:
        """What the result is, as the maker has it."""
        return dict(self.maker.results)[self.result]


def wires(program: Program) -> list[Wire]:
    """Of a whole program, before its steps are derived. Raises MisfitError for one without an objective, and for an
    objective that does not fit it."""
    found = objective_fit(program)
    if isinstance(found, Transducer):
        return list(_joined(found))
    hearing = hearing_of(found)
    made = [_taken(program, hearing, function, function.inputs) for function in hearing.between]
    labels = found.labels if isinstance(found, FramesAndLabels) else found
    if isinstance(labels, Labels):
        heard = [each for each in labels.decoder.inputs if labels.parts[each.name] in (Part.HEARD, Part.FRAME)]
        made.append(_taken(program, hearing, labels.decoder, heard))
    return [wire for each in made for wire in each]


def among_rows(program: Program) -> tuple[str, str] | None:
    """The component and the result whose frames a decoder is given in turns with rows of its table of classes."""
    try:
        found = objective_fit(program)
    except MisfitError:
        return None
    labels = found.labels if isinstance(found, FramesAndLabels) else found
    if not isinstance(labels, Labels) or Part.ROW not in labels.parts.values():
        return None
    return labels.hearing.first.component, labels.hearing.first.name


def objective_fit(program: Program) -> Fit:
    """The components of the program's own objective. Raises MisfitError, also where there is none."""
    told = program.train.call("objective")
    if told is None or told[0] not in OBJECTIVES:
        raise MisfitError(NO_OBJECTIVE)
    return fit(program, told[0], complete(*told))


def _joined(found: Transducer) -> Iterator[Wire]:
    for value in found.joiner.inputs:
        maker = found.hearing.encoder if value.type.find(Role.TIME) is not None else found.predictor
        yield Wire(maker, maker.results[0][0], found.joiner, value)


def _taken(program: Program, hearing: Hearing, reader: Function, inputs: Iterable[Value]) -> Iterator[Wire]:
    for value in inputs:
        given = hearing.taken(reader, value)
        yield Wire(program.functions[given.component], given.name, reader, value)
