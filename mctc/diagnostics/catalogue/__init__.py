"""The catalogue of diagnostic codes: data, one file a stage, and the table of all of them."""

from mctc.diagnostics.catalogue.entry import Entry
from mctc.diagnostics.catalogue.table import CATALOGUE, explain

__all__ = ["CATALOGUE", "Entry", "explain"]
