"""What an emitted training module runs on: torch and the standard library, nothing of mctc.

`mctc build` copies these files as they are beside the module that it writes, so a training repository needs no mctc.
"""
