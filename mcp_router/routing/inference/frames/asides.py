"""Steps and background paragraphs around a task that bear no name."""

import re

from mcp_router.routing.inference.frames.parts import NAME_WORD, fold, says_something

_STEP = re.compile(r"[ \t]*(?:[^\W\d_]{3,8}[ ]?)?(\d{1,2})[ ]?[.):][ \t]+(?=\S)")
_BULLET = re.compile(r"[ \t]*([-*•])[ \t]+(?=\S)")
_FEWEST_STEPS = 3
_MAX_STEP_CHARS = 60
"""Longer steps before and after a task can be tasks themselves."""
_MIN_BACKGROUND_CHARS, _MAX_BACKGROUND_CHARS = 30, 320
_OPENING_WORDS = 3
_GAP = re.compile(r"\n[ \t]*\n\s*")
_SENTENCE_GAP = re.compile(r"(?<=[.!])\s+(?=\S)")
_ENDS = (".", "!", "。", "！")
_NO_STATEMENT = re.compile(r"[?？؟`<>{}():：;|*#\"“„«]")
_MATERIAL = re.compile(r"[^\W\d_][^\n.?!]{0,25}[:：|]|[\W\d]")
"""How a paragraph begins that is worked on: with a label, a quotation, a number, a list or a fence."""
_WE = """
    we our ours us nous notre nos wir unser unsere unserem unseren unserer nosotros nosotras nuestro nuestra nuestros
    nuestras somos siamo nostro nostra nostri nostre nosso nossa nossos nossas wij onze jestesmy nasz nasza nasze мы
    наш наша наше наши нас نحن لدينا
"""
_WE_WIDE = ("我们", "咱们", "私たち", "当社", "弊社")
_PLACES = """
    repository repo project codebase team agent pipeline branch sprint workspace monorepo build depot projet equipe
    branche pipeline espace projekt mannschaft zweig repositorio proyecto equipo rama progetto squadra ramo projeto
    equipe репозиторий проект команда агент المستودع الفريق المشروع
"""
_ARTICLES = """
    the this that le la les l ce cet cette der die das dieser diese dieses el los este esta il lo questo questa o os
    esse essa de het deze dit этот эта это هذا هذه
"""
_OPENING_PRONOUNS = frozenset(_WE.split())
_OPENING_ARTICLES = frozenset(_ARTICLES.split())
_WORKPLACES = frozenset(_PLACES.split())


def strip_steps(text: str) -> str:
    """Return the middle of a list whose first and last steps are short, if it is longer than both."""
    lines = text.strip().split("\n")
    marker = _BULLET if _BULLET.match(lines[0]) else _STEP
    found = [(at, mark) for at, line in enumerate(lines) if (mark := marker.match(line)) is not None]
    if len(found) < _FEWEST_STEPS or [at for at, _ in found[:2]] != [0, 1] or found[-1][0] != len(lines) - 1:
        return text
    if marker is _STEP and (found[0][1][1] != "1" or found[1][1][1] != "2" or found[-1][1][1] == "1"):
        return text
    middle = "\n".join([lines[1][found[1][1].end() :], *lines[2:-1]])
    longest = max(len(lines[0]), len(lines[-1]))
    return middle if longest <= _MAX_STEP_CHARS and len(middle) > longest and says_something(middle) else text


def strip_background(text: str) -> str:
    """Return a text without a first or last paragraph that only describes where its author works."""
    stripped = text.strip()
    if (first := _GAP.search(stripped)) is None:
        return text
    rest = stripped[first.end() :]
    if _is_background(stripped[: first.start()]) and says_something(rest) and not _MATERIAL.match(rest):
        return rest
    before, gap, last = stripped.rpartition("\n\n")
    return before if gap and before.rstrip().endswith((".", "?", "？", "؟")) and _is_background(last) else text


def _is_background(paragraph: str) -> bool:
    """Return whether a paragraph is a line of statements about the author's team or project."""
    if not _MIN_BACKGROUND_CHARS // 2 <= len(paragraph) <= _MAX_BACKGROUND_CHARS or "\n" in paragraph:
        return False
    if not paragraph.rstrip().endswith(_ENDS) or _NO_STATEMENT.search(paragraph):
        return False
    if paragraph.startswith(_WE_WIDE):
        return True
    if len(paragraph) < _MIN_BACKGROUND_CHARS:
        return False
    first, *others = (NAME_WORD.findall(sentence) for sentence in _SENTENCE_GAP.split(fold(paragraph)))
    if not all(words and words[0] in _OPENING_PRONOUNS | _OPENING_ARTICLES for words in (first, *others)):
        return False
    return first[0] in _OPENING_PRONOUNS or not _WORKPLACES.isdisjoint(first[1:_OPENING_WORDS])
