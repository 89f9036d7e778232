"""Each spec against an implementation that this project did not write, or the published equations written out."""
