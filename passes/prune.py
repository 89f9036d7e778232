"""The `prune` section makes layers smaller: the last entries of a dimension go, with all that goes with them."""

from __future__ import annotations

from mctc.ir.program import Program
from mctc.rewrite.base import Context, Masks, Pass


class Prune(Pass):
    """Cuts the last entries of dimensions that the `prune` section names, and what goes with them in other layers.

    Parameters become slices of the checkpoint's tensors, so a checkpoint of either size binds; attention has fewer
    heads, norms count fewer channels, components hand fewer of them on to one another. `mctc prune` sorts a checkpoint
    so that the last entries are those that the loss feels least.
    """

    name = "prune"
    promise = Masks()
    before = ("annotate-quantization", "channels-first", "pad-vocabulary", "split-dimensions")

    def run(self, program: Program, context: Context) -> Program:
        if not program.prune.settings:
            return program
        from mctc.passes.pruning.narrowed_layers import pruned  # which a build without the section has no need of

        return pruned(program, context, self.name)
