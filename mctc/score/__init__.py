"""How well a build hears: recordings with what was said in them, through any build, and the errors that are counted."""
