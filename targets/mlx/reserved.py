"""Names that an mlx module, which is a dict, has for itself."""

from __future__ import annotations

from mctc.targets.torch.reserved import is_no_attribute

OF_MODULES = frozenset(
    [
        "apply",
        "apply_to_modules",
        "children",
        "clear",
        "copy",
        "eval",
        "filter_and_map",
        "freeze",
        "fromkeys",
        "get",
        "initial_state",
        "is_module",
        "items",
        "keys",
        "leaf_modules",
        "load_weights",
        "modules",
        "named_modules",
        "parameters",
        "pop",
        "popitem",
        "save_weights",
        "set_dtype",
        "setdefault",
        "state",
        "step",
        "train",
        "trainable_parameter_filter",
        "trainable_parameters",
        "training",
        "unfreeze",
        "update",
        "update_modules",
        "valid_child_filter",
        "valid_parameter_filter",
        "values",
    ]
)


def is_reserved(name: str) -> bool:
    """Whether a parameter or instance can't be called so: what begins with an underscore is no parameter in MLX."""
    return is_no_attribute(name) or name.startswith("_") or name in OF_MODULES
