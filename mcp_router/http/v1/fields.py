"""Reading of request bodies: an accepted field has its effect or is named as unused, and any other is an error."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from mcp_router.errors import BadInputError
from mcp_router.files.measuring import measure_attachment
from providers.completion import Attachment

_IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_MAX_IMAGES = 100
_MAX_SHOWN_CHARS = 200


class FieldError(BadInputError):
    """A field of the body that cannot be used."""

    def __init__(self, param: str | None, message: str, *, code: str | None = None, status: int = 400) -> None:
        """`param` is the field's path; `code` is OpenAI's word for the mistake."""
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


class Body(BaseModel):
    """A part of a request body; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


B = TypeVar("B", bound=BaseModel)


async def read_json(request: Request) -> dict[str, object]:
    """Return the JSON object of a request's body.

    Raises:
        FieldError: The body is not a JSON object.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise FieldError(None, "The body must be JSON, with Content-Type: application/json.", status=415)
    try:
        body: object = json.loads(await request.body())
    except (ValueError, RecursionError) as exc:
        raise FieldError(None, "The body is not valid JSON.") from exc
    if not isinstance(body, dict):
        raise FieldError(None, "The body must be a JSON object.")
    return {str(name): value for name, value in body.items() if value is not None}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- it came from JSON


def parse_body(kind: type[B], given: Mapping[str, object]) -> B:
    """Return a validated body.

    Raises:
        FieldError: A field is unknown or wrong; the text names it, and not its value, which can be a prompt.
    """
    try:
        return kind.model_validate(given, strict=True)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        param = ".".join(str(step) for step in first["loc"])[:_MAX_SHOWN_CHARS]
        if first["type"] == "extra_forbidden":
            raise FieldError(param, f"Unknown parameter: {param}.", code="unknown_parameter") from None
        message = first["msg"].replace("Input should be", "must be").replace("Field required", "is required")
        raise FieldError(param or None, f"{param}: {message}.") from None


def reject_unsupported(given: Mapping[str, object], neutral: Mapping[str, tuple[object, ...]]) -> dict[str, object]:
    """Return the body without fields that have no effect because they have their neutral value.

    Args:
        given: The body.
        neutral: The fields without support, with the values that change nothing.

    Raises:
        FieldError: Such a field has another value.
    """
    for name, values in neutral.items():
        if name in given and not any(given[name] == value for value in values):
            allowed = f" Leave it out, or send {json.dumps(values[0])}." if values else " Leave it out."
            raise FieldError(name, f"{name} is not supported.{allowed}", code="unsupported_parameter")
    return {name: value for name, value in given.items() if name not in neutral}


def parse_image(media_type: str, data: str, *, param: str, number: int) -> Attachment:
    """Return an image given in base64.

    Raises:
        FieldError: It is not an image of a type that models accept, or one too many.
    """
    if number > _MAX_IMAGES:
        raise FieldError(param, f"{param}: a request can have {_MAX_IMAGES} images.")
    if media_type not in _IMAGE_TYPES:
        raise FieldError(param, f"{param}: the image must be one of {', '.join(_IMAGE_TYPES)}.")
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise FieldError(param, f"{param}: the image is not valid base64.") from None
    if not content:
        raise FieldError(param, f"{param}: the image is empty.")
    suffix = media_type.partition("/")[2]
    return measure_attachment(f"image{number}.{suffix}", media_type, content)


def parse_data_url(url: str, *, param: str, number: int) -> Attachment:
    """Return the image in a `data:` URL; the router fetches no other.

    Raises:
        FieldError: It is another URL, or not an image.
    """
    head, comma, data = url.partition(",")
    if not url.startswith("data:") or not comma or not head.endswith(";base64"):
        raise FieldError(param, f"{param}: must be a data:image/…;base64,… URL. The router fetches no addresses.")
    return parse_image(head.removeprefix("data:").removesuffix(";base64").lower(), data, param=param, number=number)
