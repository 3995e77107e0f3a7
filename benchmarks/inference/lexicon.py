"""Shortens the written concepts and courtesies into the lexicon that ships."""

from pathlib import Path

from mcp_router.inference.features import stems

HERE = Path(__file__).parent


def shipped() -> str:
    """Returns the lexicon as it ships: words and their concepts, an empty line, then courtesies."""
    concepts: dict[str, list[str]] = {}
    for line in (HERE / "concepts.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        name, *words = line.split()
        for word in words:
            names = concepts.setdefault(" ".join(stems(word.replace("_", " "))), [])
            if name not in names:
                names.append(name)
    courtesies = {" ".join(stems(line)) for line in (HERE / "courtesies.txt").read_text(encoding="utf-8").splitlines()}
    spoken = "\n".join("\t".join([key, *names]) for key, names in sorted(concepts.items()))
    polite = "\n".join(sorted(courtesies))
    return f"{spoken}\n\n{polite}\n"


if __name__ == "__main__":
    room = HERE.parents[1] / "mcp_router" / "inference"
    (room / "lexicon.txt").write_text(shipped(), encoding="utf-8", newline="\n")
