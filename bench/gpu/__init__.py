"""What the training side is measured by on a CUDA GPU: README.md says how to run each script.

scan (the op beside its peers) · train_step (a step of an emitted model), scaling (the same on several GPUs) ·
scan_inputs, scan_peers (what is compared, on what) · training_batch (what a step trains on) · gpu_time, extra_memory
(how time and memory are taken) · training_runtime (imports the torch side without mctc) · scan_check, rnnt (the op's
and the loss's checks).
"""
