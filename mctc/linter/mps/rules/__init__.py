"""The rules, a file a subject; each file's RULES goes into the table."""
