"""Tests of the ONNX target; its models are executed by onnxruntime."""
