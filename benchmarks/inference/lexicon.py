"""Shortens the written concepts and courtesies into the lexicon that ships."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from mcp_router.routing.inference.features import split_stems

HERE = Path(__file__).parent


def spelled_out(line: str) -> Iterator[str]:
    """Yield every way to say a line that has alternatives in brackets."""
    parts = [part.split("|") for part in re.split(r"[\[\]]", line)]
    return ("".join(chosen) for chosen in itertools.product(*parts))


def shipped() -> str:
    """Return the lexicon as it ships: concepts and their words, then courtesies, the longest first."""
    concepts: dict[str, list[str]] = {}
    for line in (HERE / "concepts.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        name, *words = line.split()
        for word in words:
            names = concepts.setdefault(" ".join(split_stems(word.replace("_", " "))), [])
            if name not in names:
                names.append(name)
    groups: dict[str, list[str]] = {}
    for word, names in sorted(concepts.items()):
        groups.setdefault(" ".join(names), []).append(word)
    written = (HERE / "courtesies.txt").read_text(encoding="utf-8").splitlines()
    courtesies = {" ".join(split_stems(spoken)) for line in written for spoken in spelled_out(line)}
    spoken = "\n".join("\t".join([names, *words]) for names, words in sorted(groups.items()))
    polite = "\n".join(sorted(courtesies, key=lambda line: (-line.count(" "), line)))
    return f"{spoken}\n\n{polite}\n"


if __name__ == "__main__":
    package = HERE.parents[1] / "mcp_router" / "routing" / "inference"
    (package / "lexicon.txt").write_text(shipped(), encoding="utf-8", newline="\n")
