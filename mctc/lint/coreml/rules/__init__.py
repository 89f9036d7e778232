"""The rules, a file a subject; each file ends with the RuleFamily that an entry point of pyproject.toml names.

Texts say what the sources say, in few words; what a rule means for placement is its `effect`.
"""
