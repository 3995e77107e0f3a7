"""Images are measured by their headers and PDFs by their pages, whatever they claim."""

from __future__ import annotations

import struct
import time
import zlib

import pytest

from mcp_router.files.measuring import UncountablePdfError, measure_attachment


def make_pdf(pages: int, *, count: int | None = None, kids: str | None = None, content: bytes = b"") -> bytes:
    """Build a PDF of pages that share their content; `count` and `kids` may lie."""
    kids = kids if kids is not None else " ".join(f"{number + 4} 0 R" for number in range(pages))
    packed = zlib.compress(content)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {pages if count is None else count} /Kids [{kids}] >>".encode(),
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed),
        *[b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 3 0 R >>"] * pages,
    ]
    found, places = b"%PDF-1.4\n", [b"0000000000 65535 f \n"]
    for number, each in enumerate(objects, 1):
        places.append(f"{len(found):010d} 00000 n \n".encode())
        found += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"xref\n0 %d\n%s" % (len(places), b"".join(places))
    return found + table + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(places), len(found))


def pages_of(data: bytes) -> int:
    return measure_attachment("a.pdf", "application/pdf", data).pages


def test_pages_are_counted_whatever_the_file_claims() -> None:
    assert pages_of(make_pdf(200)) == 200
    assert pages_of(make_pdf(200, count=1)) == 200
    assert pages_of(make_pdf(1, kids="4 0 R " * 150)) == 150


def test_damaged_pdf_counts_every_page_that_it_names() -> None:
    assert pages_of(b"%PDF-1.7\n%\xe2\xe3") == 1
    assert pages_of(make_pdf(200)[:8_000]) > 50


def test_text_of_dense_pages_is_counted() -> None:
    dense = measure_attachment("a.pdf", "application/pdf", make_pdf(2, content=b"BT (" + b"word " * 9_000 + b") Tj ET"))

    assert dense.text_characters >= 2 * 45_000


def test_pdf_whose_pages_double_at_every_level_is_refused() -> None:
    tree = make_pdf(1, kids="4 0 R")
    for level in range(40):
        node = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 3 0 R >>"
        doubled = b"<< /Type /Pages /Count 2 /Kids [%d 0 R %d 0 R] >>" % (level + 5, level + 5)
        tree = tree.replace(node, doubled + b"\nendobj\n%d 0 obj\n" % (level + 5) + node)
    began = time.monotonic()

    with pytest.raises(UncountablePdfError):
        measure_attachment("a.pdf", "application/pdf", tree)

    assert time.monotonic() - began < 40


def test_counting_pages_ends_when_cancelled() -> None:
    class CancelledError(Exception):
        pass

    def cancel() -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        measure_attachment("a.pdf", "application/pdf", make_pdf(2), check_cancelled=cancel)


def test_dimensions_are_read_from_headers() -> None:
    jpeg = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(9) + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 480, 640)
    images = {
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 640, 480): "image/png",
        b"GIF89a" + struct.pack("<HH", 640, 480): "image/gif",
        jpeg: "image/jpeg",
        b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(10) + struct.pack("<HH", 640, 480): "image/webp",
        b"RIFF\x00\x00\x00\x00WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 639 | 479 << 14): "image/webp",
        b"RIFF\x00\x00\x00\x00WEBPVP8X" + bytes(8) + struct.pack("<HBHB", 639, 0, 479, 0): "image/webp",
    }

    for data, media_type in images.items():
        image = measure_attachment("a", media_type, data)
        assert (image.width, image.height) == (640, 480), data


def test_cut_off_header_leaves_dimensions_unknown() -> None:
    for data in (b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"\xff\xd8", b"RIFF\x00\x00\x00\x00WEBPVP8X"):
        image = measure_attachment("a", "image/png", data)
        assert (image.width, image.height) == (0, 0)
