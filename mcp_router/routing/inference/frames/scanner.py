"""Blocks, headings, labels and headers of a text, found line by line."""

import re
from collections.abc import Iterator

from mcp_router.routing.inference.frames.parts import (
    MAX_NAME_WORDS,
    NAME_WORD,
    Kind,
    Part,
    find_kind,
    fold,
    says_something,
)

_TASK: Kind = "task"
_MATERIAL: Kind = "material"
_MAX_HEADER_VALUE = 90
_MAX_HEADER_LINES = 40
_PASSAGE_CHARS = 360
"""A context this long is rather the material of the task than a note about the place of work."""
_PASSAGES = frozenset(("context", "contexte", "kontext", "contexto", "contesto", "kontekst", "контекст", "background"))
_OPENING_TAG = re.compile(
    r"[ \t]*<([^\W\d][\w.:-]{0,40})(?:\s[^<>\n]{0,200})?>|[ \t]*\[([^\W\d][\w -]{0,30})\](?=\s|$)"
)
_BRACKET_HEADING = re.compile(
    r"\s{0,3}(?:【([^】\n]{1,40})】|\[([^\]:\n]{1,40})\]|<<([^>\n]{1,40})>>|<\|([^|\n]{1,30})\|>)\s*[:：]?[ \t]*(.*)$"
)
_RULED_HEADING = re.compile(r"\s{0,3}(?:#{1,6}|={2,}|-{2,}|\*{2,}|~{2,}|\|+|»+|▶|●|■|§)[ \t]{0,3}(?=\S)(.{1,90})$")
_MAX_HEADING_CHARS = 48
_MAX_SHORT_LINE = 400
"""Longer lines are no brackets around a note."""
_HEADING_TAIL = " \t#=-*~|«:："
_LABEL = re.compile(
    r"[ \t]{0,3}(?:[-*•]\s|\d{1,2}[.)]\s)?[*_`]{0,2}([^\W\d_][^\n:：*`<>{}]{0,40}?)[*_`]{0,2}[ ]?[:：][*_]{0,2}"
    r"(?=\s|$|[^\x00-\xff])[ \t]*(.*)$"
)
_BRACKETED = re.compile(r"\s*[\[(【]([^\]:()\n]{1,40})[:：]\s*([^\]\n]*)[\])】]\s*$")
_CLAUSE = re.compile(r"[,;.?!]\s")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_RULER = re.compile(r"\s*[-=*_~#─═]{3,}\s*$")
_ENTRY = re.compile(r"\s*[^\W\d_]{3,12}\s*[#№]\s?\d{1,7}\s*$")


class Scanner:
    """Cuts text into parts line by line."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = text.split("\n")
        self._at = 0

    def parts(self) -> Iterator[Part]:
        """Yield the parts in their order."""
        header = self._header()
        yield from header
        loose: list[str] = []
        while self._at < len(self._lines):
            found = self._part()
            if found is None:
                loose.extend(self._plain())
                continue
            if loose:
                yield Part(None, "\n".join(loose), is_named=False)
                loose = []
            yield from found
        if loose:
            yield Part(None, "\n".join(loose), is_named=False)

    def _plain(self) -> list[str]:
        """Take one line as it is, or all of a code fence."""
        first = self._at
        self._at += 1
        if _FENCE.match(self._lines[first]):
            while self._at < len(self._lines):
                self._at += 1
                if _FENCE.match(self._lines[self._at - 1]):
                    break
        return [line for line in self._lines[first : self._at] if not _RULER.match(line)]

    def _header(self) -> list[Part]:
        """Take the lines of keys and short values that many trackers and tools put first."""
        found: list[tuple[str, str]] = []
        at = 0
        while at < min(len(self._lines), _MAX_HEADER_LINES):
            line = self._lines[at]
            label = _LABEL.match(line)
            if _RULER.match(line) and at == len(found):
                at += 1
                continue
            if _ENTRY.match(line):
                found.append(("id", line))
                at += 1
                continue
            if label is None or not label[2] or len(label[2]) > _MAX_HEADER_VALUE or _FENCE.match(line):
                break
            found.append((label[1], label[2]))
            at += 1
        ends = at >= len(self._lines) or not self._lines[at].strip() or _RULER.match(self._lines[at]) is not None
        names = [name.lower() for name, _ in found]
        kinds: list[Kind | None] = [find_kind(name) for name in names]
        known = sum(kind is not None for kind in kinds)
        if len(found) < 2 or not ends or len(set(names)) < len(names) or known * 2 < len(found):  # noqa: PLR2004 - one line is a label
            return []
        self._at = at
        values = [value for _, value in found]
        return [
            Part(kind or _TASK, value, is_named=True)
            for kind, value in zip(kinds, values, strict=True)
            if kind is not None or says_something(value)
        ]

    def _part(self) -> list[Part] | None:
        line = self._lines[self._at]
        if not line.strip():
            return None
        if (tag := _OPENING_TAG.match(line)) and (found := self._tagged(tag)) is not None:
            return found
        if (noted := self._noted(line)) is not None:
            return noted
        return self._headed(line)

    def _headed(self, line: str) -> list[Part] | None:
        """Take what stands under a heading or behind a label."""
        if heading := _BRACKET_HEADING.match(line):
            name = next(filter(None, heading.groups()[:4]))
            return self._labelled(name, heading[5])
        if ruled := _ruled_heading(line):
            return self._under(ruled)
        if label := _LABEL.match(line):
            return self._labelled(label[1], label[2])
        return None

    def _noted(self, line: str) -> list[Part] | None:
        """Take a note in brackets, such as `[Context: nightly run]`."""
        noted = _BRACKETED.match(line) if len(line) <= _MAX_SHORT_LINE else None
        if noted is None or (kind := find_kind(noted[1])) is None:
            return None
        self._at += 1
        return [Part(kind, noted[2], is_named=True)]

    def _tagged(self, tag: re.Match[str]) -> list[Part] | None:
        name = tag[1] or tag[2]
        closing = f"</{name}>" if tag[1] else f"[/{name}]"
        if closing not in self._text:
            return None
        rest = [self._lines[self._at][tag.end() :], *self._lines[self._at + 1 :]]
        for count, line in enumerate(rest):
            end = line.find(closing)
            if end < 0:
                continue
            inside = "\n".join([*rest[:count], line[:end]])
            self._at += count
            self._lines[self._at] = line[end + len(closing) :]
            if not self._lines[self._at].strip():
                self._at += 1
            return self._nested(name, inside)
        return None

    def _nested(self, name: str, inside: str) -> list[Part]:
        kind = find_kind(name)
        if kind == "surroundings" and not _is_passage(name, inside):
            return [Part(kind, inside, is_named=True)]
        if "<" in inside and (inner := list(Scanner(inside).parts())) and any(one.is_named for one in inner):
            return [one if one.is_named else Part(kind, one.text, is_named=True) for one in inner]
        return [Part(_TASK if kind == "task" else _MATERIAL, inside, is_named=True)]

    def _under(self, name: str) -> list[Part] | None:
        """Take what stands under a heading; a heading of no known name only ends the part before it."""
        kind = find_kind(name)
        if kind is None and not _is_heading(name):
            return None
        self._at += 1
        body = self._body()
        if kind is None:
            return [Part(None, "\n".join([name, *body]), is_named=True)]
        if kind == "surroundings" and not _is_passage(name, "\n".join(body)):
            return self._without_last(body)
        return [Part(_MATERIAL if kind == "surroundings" else kind, "\n".join(body), is_named=True)]

    def _labelled(self, name: str, inline: str) -> list[Part] | None:
        kind = find_kind(name)
        words = len(name.split())
        if kind is None or words > MAX_NAME_WORDS or _CLAUSE.search(name):
            return None
        if not inline.strip():
            return self._under(name)
        self._at += 1
        body = [inline, *self._until_blank()]
        if words > 1 and kind != "surroundings":
            body[0] = f"{name}: {inline}"
        if kind == "surroundings" and _is_passage(name, "\n".join(body)):
            kind = "material"
        return [Part(kind, "\n".join(body), is_named=True)]

    def _until_blank(self) -> list[str]:
        first = self._at
        while self._at < len(self._lines) and self._lines[self._at].strip() and not self._begins_part():
            self._at += 1
        return self._lines[first : self._at]

    def _body(self) -> list[str]:
        first = self._at
        while self._at < len(self._lines) and not self._begins_part():
            if _FENCE.match(self._lines[self._at]):
                self._plain()
            else:
                self._at += 1
        return self._lines[first : self._at]

    def _begins_part(self) -> bool:
        line = self._lines[self._at]
        if not line.strip():
            return False
        if tag := _OPENING_TAG.match(line):
            name = tag[1] or tag[2]
            return find_kind(name) is not None or f"</{name}>" in self._text
        if heading := _BRACKET_HEADING.match(line):
            return find_kind(next(filter(None, heading.groups()[:4]))) is not None
        if (ruled := _ruled_heading(line)) and _is_heading(ruled):
            return line.lstrip()[:1] in "#=" or find_kind(ruled) is not None
        return _RULER.match(line) is not None or _is_known_label(line)

    def _without_last(self, body: list[str]) -> list[Part]:
        """Drop what stands under a heading; what follows its last blank line may be the task, if nothing else is."""
        text = "\n".join(body).strip("\n")
        before, gap, last = text.rpartition("\n\n")
        if not gap or self._at < len(self._lines) or last.lstrip()[:1] in "-*•" or _LABEL.match(last):
            return [Part("surroundings", text, is_named=True)]
        return [Part("surroundings", before, is_named=True), Part(None, last, is_named=False)]


def _is_known_label(line: str) -> bool:
    label = _LABEL.match(line)
    if label is None or _CLAUSE.search(label[1]):
        return False
    return len(label[1].split()) <= MAX_NAME_WORDS and find_kind(label[1]) is not None


def _ruled_heading(line: str) -> str | None:
    """Return the name that a heading of signs gives, such as `## Name` or `=== Name ===`."""
    if (found := _RULED_HEADING.match(line.rstrip())) is None:
        return None
    name = found[1].rstrip(_HEADING_TAIL)
    return name if 0 < len(name) <= _MAX_HEADING_CHARS else None


def _is_heading(name: str) -> bool:
    return NAME_WORD.search(name) is not None and len(name.split()) <= MAX_NAME_WORDS + 2


def _is_passage(name: str, text: str) -> bool:
    if len(text) < _PASSAGE_CHARS:
        return False
    words = fold(name).replace("_", " ").split()
    lines = [line for line in text.split("\n") if line.strip()]
    return len(words) == 1 and words[0] in _PASSAGES and len(text) > 120 * len(lines)
