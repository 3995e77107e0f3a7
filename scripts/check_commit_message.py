"""Checks the subject of a commit message: `area: imperative subject`, at most 72 characters."""

import re
import sys
from pathlib import Path

_MAX_CHARACTERS = 72
_SUBJECT = re.compile(r"(?:[a-z][a-z0-9_/ -]*: [a-z]|Merge |Revert ).*")

subject = Path(sys.argv[1]).read_text("utf-8").partition("\n")[0]
if len(subject) > _MAX_CHARACTERS:
    sys.exit(f"commit subject has {len(subject)} characters: use at most {_MAX_CHARACTERS}")
if not _SUBJECT.match(subject):
    sys.exit(f"commit subject {subject!r}: write `area: subject`, as in `ledger: settle each line once`")
