"""The built-in targets: one folder an emitter, imported as `mctc.targets`, found through the entry points."""
