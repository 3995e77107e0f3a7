"""What stands before the first words of a task: ticket numbers, role lines and the template of a user story."""

import re

from mcp_router.routing.inference.frames.parts import find_kind, fold, says_something

_CHECKBOX = re.compile(r"\s*(?:[-*•]\s*)?\[[ xX]?\]\s*")
_TICKET = re.compile(
    r"\s*(?:\[[^\]\n]{1,40}\]\s*){0,3}\[?[A-Z][A-Z0-9_]{1,9}-\d{1,6}\]?\s*(?:[:|–—-]+\s*)?(?:\[[^\]\n]{1,40}\]\s*){0,3}"
)
_NUMBERED = re.compile(
    r"[ \t]*([^\W\d_]{3,14})\s?(?:#|n°|nr\.?|no\.?)?\s?\d{1,3}(?:\s?(?:/|of|de|von|sur)\s?\d{1,3})?\s*[:.)–—-]+\s+",
    re.IGNORECASE,
)
_ROLE = re.compile(
    r"(?:you are|you're|you act|act as|your role|you will act|as an?(?= [^\n.:]{3,60}, you )|"
    r"tu es|t'es|vous etes|agis (?:en|comme)|agissez|ton role|votre role|"
    r"du bist|sie sind|agiere|handle als|deine rolle|ihre rolle|"
    r"eres|usted es|actua como|tu (?:rol|papel)|su (?:rol|papel)|"
    r"sei (?:un|una|il|la|lo|l')|agisci come|il tuo ruolo|"
    r"voce e|tu es|atue como|age como|seu papel|o seu papel|"
    r"je bent|u bent|jij bent|gedraag je|jouw rol|jestes|dzialasz jako|twoja rola|"
    r"ты|вы|твоя роль|ваша роль|sen bir|siz bir|du ar|din roll|"
    r"你是|您是|你的角色|作为|あなたは|貴方は|أنت|당신은)(?=[\s一-鿿ぁ-んァ-ヴー—])",
)
_STORY = re.compile(
    r"\s*(?:as|en tant qu[e']|als|como|come|jako|como um|in qualita di)\s[^,\n]{2,80},?\s+"
    r"(?:i\s(?:want|need|would like|d like)(?:\sto)?|je\s(?:veux|souhaite|voudrais|dois)|j'aimerais|"
    r"(?:mochte|will|brauche)\sich|quiero|necesito|deseo|voglio|vorrei|quero|preciso|gostaria de|wil ik|"
    r"chce|potrzebuje)\s"
    r"(.{8,}?)(?:,?\s(?:so that|in order|so i|so we|afin (?:de|que)|pour que|damit|um\s|para que|para\s|affinche|"
    r"cosi da|zodat|aby|zeby)\b[^\n:\"]*)?(?=[\n:\"]|$)",
    re.IGNORECASE | re.DOTALL,
)
_RULES = (
    "always ",
    "never ",
    "do not ",
    "don't ",
    "be ",
    "keep ",
    "stay ",
    "toujours ",
    "jamais ",
    "ne ",
    "n'",
    "sois ",
    "soyez ",
    "reste ",
    "restez ",
    "immer ",
    "nie ",
    "niemals ",
    "sei ",
    "bleib ",
    "siempre ",
    "nunca ",
    "no ",
    "mantente ",
    "sempre ",
    "mai ",
    "non ",
    "nao ",
    "seja ",
    "altijd ",
    "nooit ",
    "wees ",
    "zawsze ",
    "nigdy ",
    "nie ",
    "всегда ",
    "никогда ",
    "не ",
)
"""How a rule opens that follows a role."""
_SENTENCE_END = re.compile(r"[.!?。！？]+[\"'”»]?(?:\s+|$|(?=[^\x00-\xff]))|\n+")
_MAX_ROLE_CHARS = 1_500


def strip_ticket(text: str) -> str:
    """Take off a tracker's number, or the number of a subtask, before the first words."""
    if found := _CHECKBOX.match(text) or _TICKET.match(text):
        return text[found.end() :]
    if (found := _NUMBERED.match(text)) and find_kind(found[1]) is not None:
        return text[found.end() :]
    return text


def strip_role(text: str, *, is_alone: bool = False) -> str:
    """Take off the sentences that give the model a role, if others follow; all of them if text `is_alone`."""
    folded = fold(text[:_MAX_ROLE_CHARS])
    if len(folded) != len(text[:_MAX_ROLE_CHARS]) or not _ROLE.match(folded):
        return text
    opening = folded.split(" ", 1)[0]
    at = 0
    while at < len(text):
        starts_alike = folded[at:].startswith((f"{opening} ", "you ", "your ", *_RULES))
        if at and not starts_alike:
            break
        end = _SENTENCE_END.search(text, at)
        if end is None or not says_something(text[end.end() :]):
            return "" if is_alone else text[at:]
        at = end.end()
    return text[at:]


def strip_story(text: str) -> str:
    """Return what a user story asks for, without who asks and why."""
    folded = fold(text)
    if len(folded) != len(text) or not (found := _STORY.match(folded)):
        return text
    return (text[found.start(1) : found.end(1)] + text[found.end() :]).strip()
