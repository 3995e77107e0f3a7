"""Notices when calls begin alike, so that vendors are asked to cache what they share."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

WORTH_CACHING = 4_000
"""Characters from which a beginning is cached by anybody: about 1,024 tokens."""

_MOST = 1_000


class Prefixes:
    """The beginnings of this process's latest prompts, as digests."""

    def __init__(self) -> None:
        self._met: OrderedDict[bytes, None] = OrderedDict()

    def met_before(self, beginning: str, *, note: bool = True) -> bool:
        """Say whether an earlier call began like this: then a third may, and caching pays. Without `note` it is
        only asked, as for a plan.
        """
        if len(beginning) < WORTH_CACHING:
            return False
        digest = hashlib.blake2b(beginning.encode("utf-8", "replace"), digest_size=16).digest()
        met = digest in self._met
        if not note:
            return met
        self._met[digest] = None
        self._met.move_to_end(digest)
        if len(self._met) > _MOST:
            self._met.popitem(last=False)
        return met
