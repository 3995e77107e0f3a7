"""Reports words that the style guide avoids, in code, pages and names: part of `make lint`.

`docs/glossary.md` lists them with the words to use. Data is not checked: training prompts, lexicons, recorded answers.
"""

import re
import subprocess
import sys
from pathlib import Path

_AVOIDED = (
    *("house", "houses", "door", "doors", "desk", "desks", "purse", "purses", "leeway", "bench", "benched", "benches"),
    *("whoever", "nobody", "somebody", "whom", "anew", "amiss", "meanwhile"),
)
_PHRASES = (r"in\s+vain", r"held\s+to\s+by", r"(?:is|are)\s+(?:told|asked)", r"side\s+by\s+side", r"under\s+way")
_PATTERN = re.compile(rf"(?<!make )(?<!-)\b(?:{'|'.join((*_AVOIDED, *_PHRASES))})\b", re.IGNORECASE)
_SUFFIXES = (".py", ".md", ".toml", ".yml", ".yaml", ".js", ".css", ".html", ".json")
_DATA = ("benchmarks/inference/", "mcp_router/routing/inference/", "examples/tickets/", "tests/", "LICENSE")
_ALLOWED = {
    ("mcp_router/ledger/migrations.py", "leeway"),  # the name of a table
    ("mcp_router/ledger/queries/holds.py", "leeway"),
}
_SELF = ("scripts/check_words.py", "docs/glossary.md")


def main() -> None:
    """Print each use as `file:line: word`, and exit with 1 if there is one."""
    names = subprocess.run(["git", "ls-files"], check=True, capture_output=True, encoding="utf-8").stdout.splitlines()  # noqa: S607
    checked = [name for name in names if name.endswith(_SUFFIXES) and not name.startswith(_DATA) and name not in _SELF]
    found = [use for name in checked if Path(name).is_file() for use in uses_in(name)]
    print(*found, sep="\n", end="\n" if found else "")
    if found:
        sys.exit(f"{len(found)} uses of words that docs/glossary.md avoids")


def uses_in(name: str) -> list[str]:
    """Return the uses in a file, one line each."""
    lines = Path(name).read_text("utf-8").splitlines()
    uses = [(number, found[0]) for number, line in enumerate(lines, 1) for found in _PATTERN.finditer(line)]
    return [f"{name}:{number}: {word}" for number, word in uses if (name, word) not in _ALLOWED]


if __name__ == "__main__":
    main()
