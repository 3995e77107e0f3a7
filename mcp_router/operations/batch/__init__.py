"""One prompt over many files."""
