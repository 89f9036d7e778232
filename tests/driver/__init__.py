"""Tests of builds: chunk lengths, the folder's swap, and builds of small specs from end to end."""
