"""Coverage-guided fuzzing of what reads input that others made: the parsers and the package reader.

python -m mctc.fuzz.guided parser|reader runs it (atheris) · session: the run and its limits · parser, reader: what is
tried with one input, and what must hold · bundle: a model on disk as one string of bytes · fence: no file outside is
opened · tokens, messages: mutations that keep the form of a text or a protobuf message · seeds: what a run begins with.
"""
