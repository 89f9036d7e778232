"""What models cost, side by side: `mctc compare`.

macs (multiply-accumulates of an op, by its definition) · storage (bytes of a parameter in a package) · measured (what
is counted, of one model) · operand (a spec or a build, measured) · rows (the quantities, a row each) · written (tables
for a terminal, Markdown, JSON).
"""
