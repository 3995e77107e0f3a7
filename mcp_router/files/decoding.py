"""Detection of text and its encoding, of images and of PDFs."""

from __future__ import annotations

import codecs
import re

_MEDIA = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"%PDF-\d"), "application/pdf"),
)
_BYTE_ORDER_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = re.compile("[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f]")
_MAX_CONTROL_SHARE = 0.01
"""Text has hardly any; compressed data has one in ten."""
_SAMPLE_BYTES = 64 * 1024
_MAX_WESTERN_BYTES = 64
"""Bytes beyond ASCII up to which words tell the encoding better than a statistical detector."""
_LIKELY_ENCODINGS = [
    *("cp1252", "cp1250", "iso8859_2", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256"),
    *("cp932", "euc_jp", "cp949", "gb18030", "big5"),
]
_WESTERN_SIGNS = frozenset(
    b"\x80\x82\x84\x85\x8b\x91\x92\x93\x94\x95\x96\x97\x99\x9b\xa1\xa2\xa3\xa5\xa7\xa9\xab\xb0\xb1\xb2\xb3\xb4\xb7\xbb\xbc\xbd\xbe\xbf\xae\xa0\xb5\xaa\xba".decode(
        "cp1252"
    )
)
"""Quotation marks, dashes, currencies, fractions and the like."""
_BROKEN_WORD = re.compile(r"[^\W\d_][\xa1-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf][^\W\d_]|[\xc0-\xff]{3}")
"""Absent from western text: a sign within a word, or three accented letters in a row."""


def detect_media_type(data: bytes) -> str | None:
    """Return the media type of a png, jpeg, gif, webp or PDF by its content, or None."""
    return next((kind for pattern, kind in _MEDIA if pattern.match(data)), None)


def decode(data: bytes) -> tuple[str, str] | None:
    """Return the text and its encoding, or None if the bytes are not text."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _decode_as(data, encoding)
    if b"\x00" in data:
        return _decode_unmarked_utf16(data)
    if b"\x1b$" in data:
        return _decode_as(data, "iso2022_jp") or _decode_as(data, "utf-8")
    return _decode_as(data, "utf-8") or _decode_western(data) or _decode_detected(data)


def _decode_as(data: bytes, encoding: str) -> tuple[str, str] | None:
    try:
        text = data.decode(encoding)
    except UnicodeError:
        return None
    if len(_CONTROLS.findall(text)) > _MAX_CONTROL_SHARE * len(text):
        return None
    return text, encoding


def _decode_unmarked_utf16(data: bytes) -> tuple[str, str] | None:
    """Decode text of mostly ASCII characters, which has its zeros on one side; other zeros are not text."""
    sides = data[0::2].count(0), data[1::2].count(0)
    if len(data) % 2 or min(sides) * 20 > max(sides) or max(sides) * 4 < len(data) // 2:
        return None
    return _decode_as(data, "utf-16-be" if sides[0] > sides[1] else "utf-16-le")


def _decode_western(data: bytes) -> tuple[str, str] | None:
    found = _decode_as(data, "cp1252")
    if found is None:
        return None
    beyond = [character for character in found[0] if character > "\x7f"]
    if len(beyond) > _MAX_WESTERN_BYTES or not all(one.isalpha() or one in _WESTERN_SIGNS for one in beyond):
        return None
    return None if _BROKEN_WORD.search(found[0]) else found


def _decode_detected(data: bytes) -> tuple[str, str] | None:
    from charset_normalizer import from_bytes  # noqa: PLC0415 - few files need it

    best = from_bytes(data[:_SAMPLE_BYTES], cp_isolation=_LIKELY_ENCODINGS).best()
    guess = _decode_as(data, best.encoding) if best else None
    return guess or _decode_as(data, "cp1252")
