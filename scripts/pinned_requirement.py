"""Prints one package's lines of constraints.txt: its version and its hashes."""

import re
import sys
from pathlib import Path

found = re.search(
    rf"^{re.escape(sys.argv[1])}==.*\n(?: .*\n)*", Path("constraints.txt").read_text("utf-8"), re.MULTILINE
)
if found is None:
    sys.exit(f"constraints.txt: {sys.argv[1]} is not in it: run `make constraints`")
print(found[0], end="")
