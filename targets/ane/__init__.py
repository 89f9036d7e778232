"""The `ane` target: deployed step programs become Core ML packages (ML programs of the iOS 18 opset).

target (what the registry finds) · emit, function (program and function to MIL messages) · rules/ (IR op to MIL ops, one
file a family) · constants (parameters, plain or compressed) · names (MIL identifiers) · messages (protobuf) ·
package (the folder on disk) · readback (the package evaluated against the IR).
"""
