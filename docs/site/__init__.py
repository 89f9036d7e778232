"""The docs site: `python -m docs.site` builds it into build/site and checks it; nothing of it is in a release.

__main__ (the command) · navigation (which guides, in which order: navigation.toml) · stage (the pages that Sphinx is
given) · catalogues (a page a command, op, pass, rule and diagnostic) · commands (what the commands declare) · sources
(files of the repository that pages link to) · markdown (headings and links of a text) · glossary (terms, and links to
them) · codes (links to rules and diagnostics) · doctree (how links get into prose) · lexer (colours for specs) · search
(what is a word of the search) · conf.py and static/ (Sphinx's settings and the style) ·
links (no link of the built pages is dead).
"""
