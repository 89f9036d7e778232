"""A training recipe for models that mctc emits: real corpora in, a checkpoint for `mctc build --weights` out."""
