"""Settings of Sphinx for the docs site. No page loads anything from another host, and search works from a file."""

from typing import Any

from docs.site.codes import link_codes
from docs.site.glossary import link_terms
from docs.site.lexer import spec_lexer
from docs.site.navigation import give_sidebar
from docs.site.search import search_language
from mctc.version import __version__

project = "mctc"
release = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 6  # a heading's anchor is the one that repository browsers give it
html_theme = "furo"
html_title = "mctc"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
highlight_language = "none"
smartquotes = False  # an option is written with two hyphens


def setup(app: Any) -> None:
    """Registers what mctc adds to Sphinx: colours, words of the search, links in prose, the list of guides."""
    for language in ("mct", "mir"):
        app.add_lexer(language, spec_lexer())
    app.add_search_language(search_language())
    app.connect("doctree-resolved", link_codes)
    app.connect("doctree-resolved", link_terms)
    app.connect("html-page-context", give_sidebar, priority=400)  # before the theme reads the list
