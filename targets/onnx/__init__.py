"""The `onnx` target: steps and whole-sequence functions as ONNX models, for onnxruntime and whatever else reads them.

target (what the registry finds) · write (the files) · model (one function as a model) · graph (nodes, names, types) ·
sizes (extents at run time) · rules/ (IR op to ONNX ops, one file a family) · weights (parameters as they are stored) ·
tensors (initialisers, in the model or in a file beside it) · readback (checked and compared with the IR) · session
(onnxruntime) · library (are the packages there?). Only `target` and `library` import where onnx is not installed.
"""
