"""Prints what pyproject.toml asks for, so that pip can install it with every hash checked.

`pip install -e .` cannot do that: a folder has no hash. So its dependencies go first, then the folder alone.
"""

import sys
import tomllib
from pathlib import Path


def main() -> None:
    """Print the requirements of the project itself, and of the extras that are named."""
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    print(*project["dependencies"], *(one for name in sys.argv[1:] for one in extras[name]), sep="\n")


main()
