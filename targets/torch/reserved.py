"""Names that a torch module has for itself, which an instance or parameter of a spec can't have."""

from __future__ import annotations

from mctc.targets.torch.expressions import UnsupportedError

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
        "step",
        "stored",
        "zeros",
    ]
)


def is_reserved(attribute: str) -> bool:
    return attribute in OF_MODULES or attribute in OF_BLOCKS


def check_name(attribute: str, path: str) -> None:
    """Raises UnsupportedError for a name that would hide something of the module's own."""
    if is_reserved(attribute):
        raise UnsupportedError(f"`{path}`: a torch module has a `{attribute}` of its own; give it another name")
