"""Coverage-guided fuzzing of what reads input that others made: the parsers, the package reader, and recordings.

`python -m bench.fuzz.guided parser|reader|audio` runs it, with atheris (docs/fuzzing-guided.md), or with `--inputs N`
without. session is a run, apart one without atheris · targets, parser, reader, audio: what is tried with one input, and
what must hold · verdict, sandbox, memory: what counts as a finding · bundle: a model on disk as one string of bytes ·
mutators, tokens, messages: new inputs from old ones · seeds, examples, packaging, mil_printer: what a run begins with ·
sounds: recordings of odd kinds.
"""
