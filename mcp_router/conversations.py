"""Remembers conversations, so that a caller can go on from an earlier answer without sending it again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from providers.completion import Message

_MOST = 200
_MOST_CHARACTERS = 20_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """What was said so far, and which model answered last."""

    system: str | None
    messages: tuple[Message, ...]
    model: str

    @property
    def characters(self) -> int:
        """How much memory it takes, roughly."""
        return sum(len(message.content) for message in self.messages) + len(self.system or "")


class Conversations:
    """The latest conversations of this process, by the call that ended each."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], Conversation] = OrderedDict()
        self._characters = 0

    def keep(self, client: str, call_id: str, conversation: Conversation) -> None:
        """Remember a conversation; the oldest ones make room."""
        self._kept[client, call_id] = conversation
        self._characters += conversation.characters
        while len(self._kept) > 1 and (len(self._kept) > _MOST or self._characters > _MOST_CHARACTERS):
            _, forgotten = self._kept.popitem(last=False)
            self._characters -= forgotten.characters

    def get(self, client: str, call_id: str) -> Conversation | None:
        """Return what a client said and heard up to a call; None where it is not remembered."""
        return self._kept.get((client, call_id))
