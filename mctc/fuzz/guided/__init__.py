"""Coverage-guided fuzzing of what reads input that others made: the parsers and the package reader.

`python -m mctc.fuzz.guided parser|reader` runs it, with atheris (docs/fuzzing.md). session is a run · targets, parser,
reader: what is tried with one input, and what must hold · verdict, fence, memory: what counts as a finding · bundle: a
model on disk as one string of bytes · mutators, tokens, messages: new inputs from old ones · seeds, examples,
packaging, mil_printer: what a run begins with.
"""
