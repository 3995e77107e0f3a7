"""Input tokens of images and PDFs: the most that each vendor bills, by dimensions and pages."""

from __future__ import annotations

import math
from collections.abc import Callable

from providers.catalog import Model
from providers.completion import Attachment

_MAX_TEXT_TOKENS_PER_PAGE = 3_000
_CHARACTERS_PER_TOKEN = 2
"""Characters of a PDF's text that one token holds at least, on average."""
_PAGE_IMAGE_TOKENS = 1_600
"""A page that a vendor renders as an image: the most that Claude bills at common resolution."""
_GEMINI_PAGE_TOKENS = 560
"""A page at the default resolution; its text is not billed: https://ai.google.dev/gemini-api/docs/media-resolution"""
_UNKNOWN_SIDE = 100_000
"""Pixels of an image whose header cannot be read: every vendor's most."""


def count_attachment_tokens(item: Attachment, model: Model) -> int:
    """Return the most input tokens that an image or a PDF comes to at a model."""
    if item.media_type == "application/pdf":
        return _count_pdf_tokens(item, model)
    width, height = item.width or _UNKNOWN_SIDE, item.height or _UNKNOWN_SIDE
    return _BY_LINEAGE.get(model.lineage, _count_unknown)(width, height, model.name)


def _count_pdf_tokens(item: Attachment, model: Model) -> int:
    if model.lineage == "gemini":
        return _GEMINI_PAGE_TOKENS * item.pages
    # Claude and OpenAI read each page's text and look at its image.
    # https://platform.claude.com/docs/en/build-with-claude/pdf-support
    text = max(_MAX_TEXT_TOKENS_PER_PAGE * item.pages, item.text_characters // _CHARACTERS_PER_TOKEN)
    return text + _PAGE_IMAGE_TOKENS * item.pages


def _count_claude(width: int, height: int, _: str) -> int:
    """Count by area, at most the high-resolution limit.

    https://platform.claude.com/docs/en/build-with-claude/vision
    """
    return min(4_784, max(math.ceil(width * height / 750), _count_patches(width, height, 28)))


def _count_gpt(width: int, height: int, name: str) -> int:
    """Count by tiles of 512 pixels or by patches of 32, whichever is more: the names do not say which holds.

    https://developers.openai.com/api/docs/guides/images-vision
    """
    multiple = 2.46 if "nano" in name else 1.72 if "mini" in name else 1.2
    scale = min(1.0, 2_048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    tiles = math.ceil(width * scale / 512) * math.ceil(height * scale / 512)
    return max(85 + 170 * tiles, math.ceil(multiple * min(10_000, _count_patches(width, height, 32))))


def _count_gemini(width: int, height: int, _: str) -> int:
    """Count by tiles (2.5) or by the default resolution (3 and later).

    https://ai.google.dev/gemini-api/docs/image-understanding
    """
    side = max(256, min(768, int(min(width, height) / 1.5)))
    tiles = min(64, math.ceil(width / side) * math.ceil(height / side))
    return max(1_120, 258 * tiles)


def _count_grok(width: int, height: int, _: str) -> int:
    """Count tiles of 448 pixels, at most six and an overview: https://docs.x.ai/docs/guides/image-understanding."""
    return 256 * (1 + min(6, _count_patches(width, height, 448)))


def _count_mistral(width: int, height: int, _: str) -> int:
    """Count patches of 16 pixels in at most 1,024, or of 28 in at most 1,540, with a token for each row.

    https://docs.mistral.ai/capabilities/vision
    """
    return max(_count_rows(width, height, 1_024, 16), _count_rows(width, height, 1_540, 28))


def _count_rows(width: int, height: int, max_side: int, patch: int) -> int:
    scale = min(1.0, max_side / max(width, height))
    return math.ceil(height * scale / patch) * (math.ceil(width * scale / patch) + 1)


def _count_unknown(width: int, height: int, _: str) -> int:
    """Count patches of 28 pixels, as Qwen-VL and its relatives do, at most their limit."""
    return max(1_600, min(16_384, _count_patches(width, height, 28) + 2))


def _count_patches(width: int, height: int, side: int) -> int:
    return math.ceil(width / side) * math.ceil(height / side)


_BY_LINEAGE: dict[str, Callable[[int, int, str], int]] = {
    "claude": _count_claude,
    "gpt": _count_gpt,
    "gemini": _count_gemini,
    "grok": _count_grok,
    "mistral": _count_mistral,
}
