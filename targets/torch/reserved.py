"""Names that Python or a torch module has for itself, which an instance or parameter of a spec can't have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from keyword import iskeyword

from mctc.driver.refusal import Refusal
from mctc.ir.location import Location
from mctc.ir.program import Program

FORWARD = ".forward"
"""What the name of a component's class ends with for the function over whole utterances."""

OF_MODULES = frozenset(
    [
        "T_destination",
        "add_module",
        "apply",
        "bfloat16",
        "buffers",
        "call_super_init",
        "children",
        "compile",
        "cpu",
        "cuda",
        "double",
        "dump_patches",
        "eval",
        "extra_repr",
        "float",
        "forward",
        "get_buffer",
        "get_extra_state",
        "get_parameter",
        "get_submodule",
        "half",
        "ipu",
        "load_state_dict",
        "modules",
        "mtia",
        "named_buffers",
        "named_children",
        "named_modules",
        "named_parameters",
        "parameters",
        "register_backward_hook",
        "register_buffer",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
        "register_load_state_dict_post_hook",
        "register_load_state_dict_pre_hook",
        "register_module",
        "register_parameter",
        "register_state_dict_post_hook",
        "register_state_dict_pre_hook",
        "requires_grad_",
        "set_extra_state",
        "set_submodule",
        "share_memory",
        "state_dict",
        "to",
        "to_empty",
        "train",
        "training",
        "type",
        "xpu",
        "zero_grad",
    ]
)
OF_BLOCKS = frozenset(
    [
        "gradient_checkpointing",
        "initial",
        "initial_state",
        "kind",
        "new_parameter",
        "new_statistic",
        "output_lengths",
        "reset_parameters",
        "run",
        "set_gradient_checkpointing",
        "set_synchronised_norms",
        "set_rates",
        "step",
        "stored",
        "zeros",
    ]
)


PRIVATE = frozenset(
    [
        "_apply",
        "_backward_hooks",
        "_backward_pre_hooks",
        "_buffers",
        "_call_impl",
        "_compiled_call_impl",
        "_forward_hooks",
        "_forward_hooks_always_called",
        "_forward_hooks_with_kwargs",
        "_forward_pre_hooks",
        "_forward_pre_hooks_with_kwargs",
        "_get_backward_hooks",
        "_get_backward_pre_hooks",
        "_get_name",
        "_is_full_backward_hook",
        "_load_from_state_dict",
        "_load_state_dict_post_hooks",
        "_load_state_dict_pre_hooks",
        "_maybe_warn_non_full_backward_hook",
        "_modules",
        "_named_members",
        "_non_persistent_buffers_set",
        "_parameters",
        "_register_load_state_dict_pre_hook",
        "_register_state_dict_hook",
        "_replicate_for_data_parallel",
        "_save_to_state_dict",
        "_slow_forward",
        "_state_dict_hooks",
        "_state_dict_pre_hooks",
        "_version",
        "_wrapped_call_impl",
    ]
)


def is_no_attribute(name: str) -> bool:
    """Whether no attribute at all can have this name. Python renames what begins with two underscores."""
    return not _is_name(name) or iskeyword(name) or name.startswith("__")


def is_reserved(attribute: str) -> bool:
    """Whether an attribute of a torch module can't have this name."""
    if is_no_attribute(attribute):
        return True
    return attribute in OF_MODULES or attribute in OF_BLOCKS or attribute in PRIVATE


def _is_name(text: str) -> bool:
    return text.isidentifier() and text.isascii()


def refused_names(
    program: Program, reserved: Callable[[str], bool] = is_reserved, module: str = "a torch module"
) -> Iterator[Refusal]:
    """The instances and parameters of a program that a module can't call as the spec does, each once."""
    seen: set[str] = set()
    for path, location in _named(program):
        if path in seen:
            continue  # most ops are in an instance with others
        elements = path.split(".")
        for index, element in enumerate(elements):
            inside = ".".join(elements[: index + 1])
            if inside not in seen and reserved(element) and not (index and element.isdecimal()):
                yield Refusal(
                    f"`{inside}`: {_owner(element, module)}", location, "give it another name, with `as` behind a call"
                )
            seen.add(inside)


def _owner(element: str, module: str) -> str:
    if not _is_name(element):
        return f"{element!r} is no name of letters, digits and underscores"
    if iskeyword(element):
        return f"`{element}` is a word of Python's own"
    if element.startswith("__"):
        return f"Python has a meaning of its own for names such as `{element}`, which begin with two underscores"
    return f"{module} has a `{element}` of its own"


def _named(program: Program) -> Iterator[tuple[str, Location | None]]:
    """Every path of the program with a place that it comes from: of components, of parameters, of instances."""
    for name, function in program.functions.items():
        yield name, function.origin.location
    for name, parameter in program.parameters.items():
        yield name, parameter.origin.location
    for _, op in program.ops():
        if op.operands and op.origin.path:  # one that a program in text form has without a place is in no instance
            yield op.origin.path, op.origin.location
