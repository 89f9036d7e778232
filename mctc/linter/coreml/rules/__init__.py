"""The rules, a file a subject, and the list by which they are found; each file ends with the RuleFamily that it names.

Texts say what the sources say, in few words; what a rule means for placement is its `effect`.
"""

BUILT_IN = {
    "activations": "activations:RULES",
    "attention": "attention:RULES",
    "compression": "compression:RULES",
    "convolution": "convolution:RULES",
    "data-movement": "data_movement:RULES",
    "element-types": "element_types:RULES",
    "flexible-shapes": "flexible_shapes:RULES",
    "layout": "layout:RULES",
    "model-size": "model_size:RULES",
    "neural-networks": "neural_networks:RULES",
    "numerics": "numerics:RULES",
    "pathless-ops": "pathless_ops:RULES",
    "pooling": "pooling:RULES",
    "products": "products:RULES",
    "state": "state:RULES",
    "whole-graph": "whole_graph:RULES",
}
"""The family of rules by its name: `module:RULES`, the module being of this folder."""

OF_NETWORKS = ("neural-networks",)
"""Families that look at models of the older kind alone: an ML program has no need of them."""
