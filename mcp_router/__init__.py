"""Which model, may we, what did it cost: routing, budgets and accounts over `providers`."""

__version__ = "0.1.0"
