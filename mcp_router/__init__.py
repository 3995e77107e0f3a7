"""Which model, may we, what did it cost: routing, budgets and accounts over `providers`."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

__version__ = "0.1.0"


class _OwnProviders:
    """Import hook that finds the `providers` beside this package, whatever PYTHONPATH or the working folder hold."""

    @staticmethod
    def find_spec(name: str, _path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Return the spec of our `providers`, and None for every other module."""
        return PathFinder.find_spec(name, [str(Path(__file__).parents[1])]) if name == "providers" else None


sys.meta_path.insert(0, _OwnProviders)
