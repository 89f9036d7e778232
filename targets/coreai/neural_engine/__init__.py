"""What Apple's Neural Engine wants of a Core AI asset, as data: rules with the graphs that break them.

rule (what a rule is) · rules (those that a graph decides) · undecided (those that it can't, and why) · report.
"""
