"""The IR: typed SSA over role-named axes.

dims (exact extents) · types (roles, axes, tensor types) · op (the declaration of an op) · ops/ (the declarations) ·
program (Program, Function, Op, Value, Parameter) · build (Builder) · verify · text (print and parse) · time, location.
"""
