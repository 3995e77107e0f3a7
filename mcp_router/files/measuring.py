"""Sizes of images and PDFs, which vendors bill by: pixels, pages, and text on the pages."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from mcp_router.isolation import IsolatedWorkError, run_isolated
from providers.completion import Attachment

if TYPE_CHECKING:
    from pypdf import PageObject

_PDF_TIMEOUT_S = 20.0
_MAX_JPEG_SEGMENTS = 1_000
_STRINGS = re.compile(rb"\((?:\\.|[^\\()])*\)|<[0-9A-Fa-f\s]+>", re.DOTALL)
"""The strings that a page draws: one byte or two hexadecimal digits or more for each character."""


class UncountablePdfError(Exception):
    """A PDF whose pages cannot be counted, so that no budget can be held for it."""


def measure_attachment(
    name: str, media_type: str, data: bytes, *, check_cancelled: Callable[[], None] = lambda: None
) -> Attachment:
    """Return an attachment with its size; blocks, so call it in a worker thread.

    Raises:
        UncountablePdfError: The PDF's pages cannot be counted.
    """
    if media_type == "application/pdf":
        pages, characters = _measure_pdf(data, check_cancelled)
        return Attachment(name=name, media_type=media_type, data=data, pages=pages, text_characters=characters)
    width, height = _read_dimensions(data) or (0, 0)
    return Attachment(name=name, media_type=media_type, data=data, width=width, height=height)


def _read_dimensions(data: bytes) -> tuple[int, int] | None:
    """Read width and height from the header of a PNG, GIF, WebP or JPEG image."""
    try:
        if data.startswith(b"\x89PNG"):
            return struct.unpack_from(">II", data, 16)
        if data.startswith(b"GIF8"):
            return struct.unpack_from("<HH", data, 6)
        if data[8:12] == b"WEBP":
            return _read_webp(data)
        if data.startswith(b"\xff\xd8"):
            return _read_jpeg(data)
    except struct.error:
        pass  # the header is cut off
    return None


def _read_webp(data: bytes) -> tuple[int, int] | None:
    """Read the three kinds of WebP: https://developers.google.com/speed/webp/docs/riff_container."""
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, 24)
        return (low_width | high_width << 16) + 1, (low_height | high_height << 16) + 1
    return None


def _read_jpeg(data: bytes) -> tuple[int, int] | None:
    """Find the start-of-frame segment: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, B.2."""
    at = 2
    for _ in range(_MAX_JPEG_SEGMENTS):
        mark, kind, length = struct.unpack_from(">BBH", data, at)
        if mark != 0xFF:  # noqa: PLR2004 - every segment begins so
            return None
        if kind == 0xFF:  # noqa: PLR2004 - a fill byte
            at += 1
        elif 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):  # noqa: PLR2004
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + length
    return None


def _measure_pdf(data: bytes, check_cancelled: Callable[[], None]) -> tuple[int, int]:
    try:
        answer = run_isolated(
            f"{__name__}:measure_pdf", data, timeout_s=_PDF_TIMEOUT_S, check_cancelled=check_cancelled
        )
    except IsolatedWorkError as exc:
        raise UncountablePdfError(f"counting its pages failed: {exc}") from exc
    found = cast("dict[str, int]", json.loads(answer))
    if found["pages"]:
        return found["pages"], found["characters"]
    if found["endless"] or b"/ObjStm" in data or b"/Encrypt" in data or b"#" in data:
        raise UncountablePdfError("its pages cannot be counted: it is damaged, encrypted or endless")
    return max(1, data.count(b"/Page")), len(data)  # nothing is hidden: no page without its name


def measure_pdf(data: bytes) -> bytes:
    """Count a PDF's pages, and the characters on them at most; runs in a child process.

    `pages` is 0 if the file cannot be read.
    """
    import io  # noqa: PLC0415 - only the child process needs these
    import logging  # noqa: PLC0415

    from pypdf import PdfReader  # noqa: PLC0415
    from pypdf.errors import LimitReachedError, PyPdfError  # noqa: PLC0415

    logging.disable()
    pages = characters = 0
    endless = False
    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if not reader.is_encrypted or reader.decrypt(""):
            for page in reader.pages:
                pages += 1
                characters += _count_characters(page)
    except LimitReachedError:
        endless = True
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OSError):
        pages = 0  # pypdf raises any of these on damaged files
    return json.dumps({"pages": 0 if endless else pages, "characters": characters, "endless": endless}).encode()


def _count_characters(page: PageObject) -> int:
    return sum(
        len(text) - 2 if text[:1] == b"(" else len(text) // 2
        for content in _contents(page)
        for text in _STRINGS.findall(content)
    )


def _contents(page: PageObject) -> Iterator[bytes]:
    content = page.get_contents()
    if content is not None:
        yield content.get_data()
