"""Lists of recordings with what was said in them, in the forms that others write."""
