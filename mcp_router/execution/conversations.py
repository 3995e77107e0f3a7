"""Remembers conversations, so that a caller can go on from an earlier answer without sending it again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from mcp_router.ledger.ledger import Ledger
from providers.completion import Attachment, Message

WORTH_CACHING = 4_000
"""Characters from which a beginning is cached by anybody: about 1,024 tokens."""

_MAX_PREFIXES = 1_000
_MOST = 200
_MOST_CHARACTERS = 20_000_000
_MOST_STORED = 4_000_000
"""Characters of one conversation in the ledger; a longer one is kept in memory only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """What was said so far, and which model answered last."""

    system: str | None
    messages: tuple[Message, ...]
    model: str

    @property
    def characters(self) -> int:
        """How much memory it takes, roughly."""
        said = sum(len(message.content) for message in self.messages)
        attached = sum(len(item.data) for message in self.messages for item in message.attachments)
        return said + attached + len(self.system or "")


class Conversations:
    """The latest conversations of this process, by client and by the call that ended each; with a ledger, all that
    it still has.
    """

    def __init__(self, ledger: Ledger | None, clock: Callable[[], float]) -> None:
        """`ledger` is where the user wants texts stored; None keeps them in memory alone."""
        self._ledger = ledger
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], Conversation] = OrderedDict()
        self._characters = 0

    @property
    def are_stored(self) -> bool:
        """Whether they outlive this process."""
        return self._ledger is not None

    async def keep(self, client: str, call_id: str, conversation: Conversation) -> None:
        """Remember a conversation; the oldest ones are dropped if there are too many.

        Raises:
            LedgerError: It could not be stored, and is in memory only.
        """
        self._forget(client, call_id)
        self._kept[client, call_id] = conversation
        self._characters += conversation.characters
        while len(self._kept) > 1 and (len(self._kept) > _MOST or self._characters > _MOST_CHARACTERS):
            self._forget(*next(iter(self._kept)))
        if self._ledger is not None and conversation.characters <= _MOST_STORED:
            await self._ledger.store_text(client, call_id, _serialize(conversation), self._clock())

    async def get(self, client: str, call_id: str) -> Conversation | None:
        """Return what a client said and heard up to a call; None where it is not remembered.

        Raises:
            LedgerError: It may be stored, but cannot be read now.
        """
        found = self._kept.get((client, call_id))
        if found is None and self._ledger is not None:
            stored = await self._ledger.read_text(client, call_id)
            found = _deserialize(stored) if stored is not None else None
        return found

    def _forget(self, client: str, call_id: str) -> None:
        forgotten = self._kept.pop((client, call_id), None)
        self._characters -= forgotten.characters if forgotten is not None else 0


class _Attached(BaseModel):
    model_config = ConfigDict(
        from_attributes=True, frozen=True, ser_json_bytes="base64", val_json_bytes="base64", defer_build=True
    )
    name: str
    media_type: str
    data: bytes
    width: int
    height: int
    pages: int
    text_characters: int


class _Turn(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True, defer_build=True)
    role: Literal["user", "assistant"]
    content: str
    shared_chars: int
    attachments: tuple[_Attached, ...]


class _Stored(BaseModel):
    """A conversation as it stands in the ledger."""

    model_config = ConfigDict(from_attributes=True, frozen=True, defer_build=True)
    system: str | None
    model: str
    messages: tuple[_Turn, ...]


def _serialize(conversation: Conversation) -> str:
    return _Stored.model_validate(conversation).model_dump_json()


def _deserialize(stored: str) -> Conversation:
    read = _Stored.model_validate_json(stored)
    return Conversation(system=read.system, model=read.model, messages=tuple(_message(turn) for turn in read.messages))


def _message(turn: _Turn) -> Message:
    attached = (Attachment(**dict(item)) for item in turn.attachments)
    return Message(role=turn.role, content=turn.content, shared_chars=turn.shared_chars, attachments=tuple(attached))


class Prefixes:
    """The beginnings of this process's latest prompts, as digests."""

    def __init__(self) -> None:
        self._met: OrderedDict[bytes, None] = OrderedDict()

    def has_seen(self, beginning: str, *, note: bool = True) -> bool:
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
        if len(self._met) > _MAX_PREFIXES:
            self._met.popitem(last=False)
        return met
