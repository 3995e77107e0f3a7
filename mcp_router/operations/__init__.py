"""What every entry point offers, independent of the entry point."""
