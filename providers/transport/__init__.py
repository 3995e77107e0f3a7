"""HTTP exchange, error mapping, rate-limit headers, redaction, URLs."""
