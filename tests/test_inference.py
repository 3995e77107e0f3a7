"""The use case, complexity and risk of a prompt."""

import pytest

from mcp_router.inference import infer


@pytest.mark.parametrize(
    ("prompt", "use_case"),
    [
        (
            "Summarize this article in two sentences: The council voted to close the old bridge to cars.",
            "summarization",
        ),
        ("Résume ce texte en trois points : le conseil a voté la fermeture du pont.", "summarization"),
        ("Classify this review as positive or negative: the soup was cold.", "classification"),
        ("Write a Python function that reverses a linked list.", "code_generation"),
        ("Salut, ça va ?", "conversation"),
        ("x" * 20_001, "long_context"),
    ],
)
def test_a_plain_request_is_known_for_what_it_is(prompt: str, use_case: str) -> None:
    assert infer(prompt).use_case == use_case
