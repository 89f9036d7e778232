"""The built-in targets: one folder an emitter, imported as `mctc.targets`, and the list by which they are found."""

BUILT_IN = {
    "ane": "ane.target:AneTarget",
    "coreai": "coreai.target:CoreAiTarget",
    "mlx": "mlx.target:MlxTarget",
    "onnx": "onnx.target:OnnxTarget",
    "swift": "swift.target:SwiftTarget",
    "torch": "torch.target:TorchTarget",
}
"""The class of each target by its name: `module:Class`, the module being of this folder."""
