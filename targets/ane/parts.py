"""Writes a program whose costliest function is cut: a package for each part, and how parts are called as one."""

from __future__ import annotations

from dataclasses import replace

from mctc.driver.names import identifier
from mctc.driver.tables import write_tables
from mctc.driver.target import Interface, Written
from mctc.emit.ports import element_types, interface
from mctc.emit.skeleton import Job, Skeleton
from mctc.ir.lookups import wide_rows
from mctc.ir.program import Program
from mctc.plugins import registry
from mctc.rewrite.base import Context
from mctc.targets.ane.chain import SUFFIX, write_chain
from mctc.targets.ane.split import split_program


def write_parts(target: Skeleton, job: Job, wanted: str) -> tuple[tuple[Program, Written], Written]:
    """The parts with what was written of them, and what a caller sees of it. Raises EmitError and BuildError."""
    deployed, options = job.compiled.deployed, job.options
    split = split_program(deployed, wanted)
    packing = registry().passes()["pack-states"]
    packed = packing().run(split.program, Context(options.device, options.state or "packed"))
    parts = target.emit(replace(job, options=replace(options, layout="separate")), packed)
    write_tables(deployed, job.weights, job.folder)
    interfaces: dict[str, Interface] = {}
    chains: list[str] = []
    for name, names in split.chains.items():
        function = deployed.functions[name]
        if not function.states and len(names) == 1:
            interfaces[name] = parts.interfaces[names[0]]
            continue
        chain = f"{identifier(deployed.name)}_{identifier(name)}{SUFFIX}"
        called = [(parts.interfaces[each], packed.functions[each]) for each in names]
        write_chain(job.folder / chain, function, called)
        count = sum(each.operations for each, _ in called)
        elements = element_types(options.precision or "")
        wide = wide_rows(deployed, function)
        interfaces[name] = interface(function, chain, elements, count, states_as_io=False, name=name, wide=wide)
        chains.append(chain)
    return (packed, parts), Written((*parts.artifacts, *chains), interfaces)
