"""SQL statements of the ledger, one module per subject."""
