"""Images and PDFs come to at least what vendors publish."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from mcp_router.routing import routes
from mcp_router.routing.attachments import count_attachment_tokens
from mcp_router.routing.catalog import Catalog
from mcp_router.routing.fit import Fit, NoFit, Requirements, fit
from providers.completion import Attachment

CATALOG = Catalog.with_shipped()
PUBLISHED = {
    # https://platform.claude.com/docs/en/build-with-claude/vision
    ("claude", "claude-sonnet-5-5", 1_092, 1_092): 1_590,
    ("claude", "claude-opus-5-5", 200, 200): 54,
    # https://developers.openai.com/api/docs/guides/images-vision
    ("gpt", "gpt-4o", 1_024, 1_024): 765,
    ("gpt", "gpt-4o", 2_048, 4_096): 1_105,
    ("gpt", "gpt-5-mini", 1_024, 1_024): 1_659,
    # https://ai.google.dev/gemini-api/docs/media-resolution
    ("gemini", "gemini-3-pro", 1_024, 1_024): 1_120,
    ("gemini", "gemini-2.5-flash", 960, 540): 1_548,
}


def test_images_come_to_at_least_what_vendors_publish() -> None:
    low = {}
    for (lineage, name, width, height), published in PUBLISHED.items():
        model = replace(CATALOG.model("claude:claude-opus-5-5"), lineage=lineage, name=name)
        image = Attachment(name="a.png", media_type="image/png", data=b"", width=width, height=height)
        if not published <= count_attachment_tokens(image, model) <= 10 * published:
            low[lineage, name, width, height] = count_attachment_tokens(image, model)

    assert low == {}


def test_image_of_unknown_size_counts_as_the_largest() -> None:
    for model in CATALOG.models():
        small = Attachment(name="a.png", media_type="image/png", data=b"", width=40, height=40)
        large = replace(small, width=9_000, height=9_000)
        unknown = replace(small, width=0, height=0)
        assert (
            count_attachment_tokens(small, model)
            <= count_attachment_tokens(large, model)
            <= count_attachment_tokens(unknown, model)
        )


def test_pdf_counts_by_pages_at_each_vendors_rate() -> None:
    pdf = Attachment(name="a.pdf", media_type="application/pdf", data=b"", pages=200)

    assert count_attachment_tokens(pdf, CATALOG.model("claude:claude-sonnet-5-5")) == 200 * (3_000 + 1_600)
    gemini = next(model for model in CATALOG.models() if model.lineage == "gemini")
    assert count_attachment_tokens(pdf, gemini) == 200 * 560


def test_pdf_of_many_pages_is_over_the_ceiling_of_premium() -> None:
    def fitted(pages: int) -> Fit | NoFit:
        model = CATALOG.model("claude:claude-sonnet-5-5")
        typical = routes.load_shipped().use_cases["summarization"].typical_usage
        pdf = Attachment(name="a.pdf", media_type="application/pdf", data=b"", pages=pages)
        return fit(
            CATALOG.provider("claude"),
            model,
            effort=model.choose_effort("off"),
            need=Requirements(input_tokens=20, attachments=(pdf,), typical_usage=typical),
            ceiling_usd=Decimal("0.05"),
            now=datetime(2026, 11, 30, tzinfo=UTC),
        )

    one, many = fitted(1), fitted(200)

    assert isinstance(one, Fit)
    assert one.max_input_tokens >= 4_600
    assert isinstance(many, NoFit)
    assert many.kind == "ceiling"
