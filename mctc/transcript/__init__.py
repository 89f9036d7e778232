"""What a person reads of what was heard: words with their times, and the forms that transcripts are written in."""
