"""What mctc says when something is wrong: error classes with exit codes, located diagnostics and their catalogue."""
