"""What a `train` section can name: the objectives, their settings, and the components that each needs.

settings (the table) · components (which component of a program plays which part) · transducers (the same of
transducers) · fit (of any objective).
"""
