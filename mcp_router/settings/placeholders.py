"""Values of environment variables that stand for a value which was never filled in."""

from __future__ import annotations

import re

_UNEXPANDED = re.compile(
    r"\$+[A-Za-z_]\w*"  # $NAME of a shell
    r"|\$+[({].*"  # ${NAME}, ${env:NAME}, ${{ secrets.NAME }}, $(command)
    r"|%[A-Za-z_][\w()]*%"  # %NAME% of Windows
    r"|!?\{+[^{}]*\}+"  # {env:NAME}, {{NAME}}, {NAME}
    r"|<.*>|\[.*\]|#\{.*\}|`.*`"  # <your key>, [your key], #{NAME}, `command`
    r"|(?:env|secrets?|keyring|vault|op|file|input)[:.][A-Za-z_/].*"  # env:NAME, op://vault/item
    r"|\{\{.*|@@?[A-Z_]+@@?|__[A-Z_]+__",
    re.DOTALL,
)
_SAMPLE = re.compile(
    r"(?:your|insert|enter|put|paste|replace|change)[-_ .]?.*(?:key|token|secret|here|me|this|value)[-_ .\w]*"
    r"|your[-_ ].*|sk-(?:\.+|…|x+|\*+)|(?:[a-z]{2,5}[-_])?(?:x{3,}|\*{3,}|\.{3,}|…+)[\w.-]*"
    r"|(?:todo|fixme|tbd|none|null|undefined|nil|n/a|changeme|placeholder|not[-_ ]set)",
    re.IGNORECASE,
)
_QUOTES = "\"'`\u2018\u2019\u201c\u201d"


def is_unexpanded(value: str) -> bool:
    """Whether a value is the name of another, as `${NAME}` or `%NAME%`, that a host or shell did not replace."""
    return _UNEXPANDED.fullmatch(value) is not None


def find_key_problem(value: str) -> str | None:
    """Return why a key counts as missing, to follow the variable's name, or None if it is filled in."""
    value = value.strip()
    if not value:
        return None
    if value[0] in _QUOTES or value[-1] in _QUOTES:
        return "is in quotes"
    if is_unexpanded(value):
        return "is an unexpanded placeholder"
    if _SAMPLE.fullmatch(value) or not value.isprintable() or not value.isascii() or " " in value:
        return "is not a key"
    return None
