"""The program fuzzer: random specs through the whole compiler and every runtime (docs/fuzzing.md).

body and generators write the text of a component, specs that of a whole model, broken damages it; options draws how it
is built. pipeline runs one spec, runtimes are the ways to execute it, campaign runs many, report tells. Needs
hypothesis, which nothing else of mctc does.
"""
