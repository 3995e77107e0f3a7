"""Adapters that ask one model for text: vendors, their wires and their errors, without routing, money or MCP."""

from providers.catalog import Model, Provider
from providers.completion import Attachment, Completion, Effort, Message, Prompt, Usage
from providers.connect import connect
from providers.errors import (
    AuthenticationError,
    BrokenAnswerError,
    ContentFilterError,
    ContextLengthError,
    EmptyAnswerError,
    InvalidRequestError,
    ModelNotFoundError,
    ProviderError,
    QuotaError,
    RateLimitError,
    UnavailableError,
)

__all__ = [
    "Attachment",
    "AuthenticationError",
    "BrokenAnswerError",
    "Completion",
    "ContentFilterError",
    "ContextLengthError",
    "Effort",
    "EmptyAnswerError",
    "InvalidRequestError",
    "Message",
    "Model",
    "ModelNotFoundError",
    "Prompt",
    "Provider",
    "ProviderError",
    "QuotaError",
    "RateLimitError",
    "UnavailableError",
    "Usage",
    "connect",
]
