"""The built-in rewrite passes: one small file each, imported as `mctc.passes`, and the list by which they are found.

A pass says what it matches, what it builds and what it promises; `mctc passes` lists them in pipeline order.
"""

BUILT_IN = {
    "activation-forms": "activation_forms:ActivationForms",
    "affine-codes": "affine_codes:AffineCodes",
    "annotate-quantization": "annotate_quantization:AnnotateQuantization",
    "channels-first": "channels_first:ChannelsFirst",
    "channels-last": "channels_last:ChannelsLast",
    "common-subexpressions": "common_subexpressions:CommonSubexpressions",
    "dead-code": "dead_code:DeadCode",
    "deploy-common-subexpressions": "common_subexpressions:DeployCommonSubexpressions",
    "deploy-dead-code": "dead_code:DeployDeadCode",
    "drop-unread-frames": "drop_unread_frames:DropUnreadFrames",
    "factor-numbers": "factor_numbers:FactorNumbers",
    "fill-rows": "fill_rows:FillRows",
    "fold-batch-norm": "fold_batch_norm:FoldBatchNorm",
    "fold-number-norms": "fold_batch_norm:FoldNumberNorms",
    "fold-constants": "fold_constants:FoldConstants",
    "fold-deploy-constants": "fold_constants:FoldDeployConstants",
    "fold-state-reshapes": "fold_state_reshapes:FoldStateReshapes",
    "legalise": "legalise:Legalise",
    "linear-to-conv": "linear_to_conv:LinearToConv",
    "lower-attention": "lower_attention:LowerAttention",
    "lower-embedding": "lower_embedding:LowerEmbedding",
    "lower-rnn": "lower_rnn:LowerRnn",
    "lower-scan": "lower_scan:LowerScan",
    "lower-selective-scan": "lower_selective_scan:LowerSelectiveScan",
    "number-inputs": "number_inputs:NumberInputs",
    "pack-states": "pack_states:PackStates",
    "pad-vocabulary": "pad_vocabulary:PadVocabulary",
    "frames-first": "frames_first:FramesFirst",
    "hoist-reshape": "hoist_reshape:HoistReshape",
    "prune": "prune:Prune",
    "quantize-activations": "quantize_activations:QuantizeActivations",
    "round-numbers": "round_numbers:RoundNumbers",
    "scale-sums": "scale_sums:ScaleSums",
    "split-dimensions": "split_dimensions:SplitDimensions",
    "split-kernels": "split_kernels:SplitKernels",
}
"""The class of each pass by its name: `module:Class`, the module being of this folder."""

DEPLOY = frozenset(
    (
        "activation-forms",
        "deploy-common-subexpressions",
        "deploy-dead-code",
        "drop-unread-frames",
        "factor-numbers",
        "fill-rows",
        "fold-batch-norm",
        "fold-deploy-constants",
        "fold-state-reshapes",
        "frames-first",
        "hoist-reshape",
        "legalise",
        "lower-attention",
        "lower-embedding",
        "lower-rnn",
        "lower-scan",
        "lower-selective-scan",
        "number-inputs",
        "pack-states",
        "scale-sums",
        "split-kernels",
    )
)
"""Those of the stage 'deploy', which a check without a target doesn't import. No other pass asks to run next to one."""
