"""What is raised where the components of a program are not those that an objective needs."""

from __future__ import annotations

from mctc.diagnostics.errors import MctcError


class MisfitError(MctcError):
    """The components of a program are not those that an objective needs."""
