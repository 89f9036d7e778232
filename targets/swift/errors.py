"""What goes wrong when a Swift package is written."""

from mctc.driver.options import BuildError


class SwiftError(BuildError):
    """A build that no app can hear with, or names that Swift has no place for."""
