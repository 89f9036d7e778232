"""Tests of the targets. A package, so that the tests in torch/ do not take the name of torch itself."""
