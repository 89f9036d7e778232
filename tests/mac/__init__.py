"""What only a Mac shows: packages in Core ML, kernels on its GPU, and where Core ML places ops.

core_ml (packages as engines, and what they are compared with) · gpu (the scan and the loss on a device) · placed (a
compute plan against the prediction) · stand_ins (coremltools.models.MLModel, for trying all this elsewhere) ·
test_harness runs everywhere; the other tests run on Apple silicon, in the workflow mac.yml.
"""
