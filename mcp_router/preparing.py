"""Makes a caller's arguments ready to be run: reads the files, checks the schema, finds the conversation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mcp_router.app import App
from mcp_router.calls import Ask
from mcp_router.errors import UnknownNameError
from mcp_router.files import FoundFile, Reading, Roots, SourceFile, fenced, read_file, read_files
from mcp_router.judging import judge
from mcp_router.prefixes import WORTH_CACHING
from mcp_router.requests import GenerateArguments, RouteArguments
from mcp_router.schemas import AnswerSchema, answer_schema
from mcp_router.tasks import Task
from mcp_router.understanding import conversation, understood
from providers.completion import Message, OnText


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A task with its words, ready to ask."""

    task: Task
    system: str | None
    messages: tuple[Message, ...]
    shared_prefix: bool
    schema: AnswerSchema | None
    skipped: tuple[str, ...] = ()
    """Files a glob named that could not be read, and why."""


def roots(app: App) -> Roots:
    """The folders where files may be read and written."""
    return Roots.of(app.settings.allowed_roots, base=app.settings.working_folder)


async def prepared(app: App, arguments: RouteArguments, *, client: str = "local") -> Prepared:
    """Read what a call names and understand what it wants; spends nothing.

    Raises:
        BadInputError: A file, a name or the schema cannot be used.
    """
    ready = _begun(arguments)
    if arguments.files:
        reading = await read_files(arguments.files, roots(app), base=app.settings.working_folder)
        # Files first: calls that ask several things of the same files then share their beginning.
        ready = _with_files(ready, reading, files_first=True)
        ready = replace(ready, shared_prefix=app.prefixes.met_before(_beginning(ready)))
    if isinstance(arguments, GenerateArguments) and arguments.conversation_id is not None:
        ready = _continued(app, client, arguments.conversation_id, ready)
    return _understood(app, arguments, ready)


async def prepared_for(app: App, arguments: GenerateArguments, found: FoundFile) -> tuple[Prepared, SourceFile]:
    """The same for one file of a `per_file` call: the instruction first, since that is what its calls share.

    Raises:
        BadInputError: The file or the schema cannot be used.
    """
    source = await read_file(found)
    ready = _with_files(_begun(arguments), Reading(files=(source,)), files_first=False)
    ready = replace(ready, shared_prefix=len(_beginning(ready)) > WORTH_CACHING)
    return _understood(app, arguments, ready), source


def ask_of(
    ready: Prepared,
    arguments: GenerateArguments,
    *,
    client: str,
    call_id: str | None = None,
    on_text: OnText | None = None,
) -> Ask:
    """Say what the router is to be asked."""
    return Ask(
        task=ready.task,
        messages=ready.messages,
        system=ready.system,
        temperature=arguments.temperature,
        response_schema=ready.schema.document if ready.schema is not None else None,
        shared_prefix=ready.shared_prefix,
        client=client,
        call_id=call_id,
        judge=judge(ready.schema, may_be_cut=arguments.max_output_tokens is not None),
        on_text=on_text,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Begun:
    """What is known of a call before it is understood."""

    system: str | None
    messages: tuple[Message, ...]
    schema: AnswerSchema | None
    files_characters: int = 0
    shared_prefix: bool = False
    prefer: str | None = None
    skipped: tuple[str, ...] = ()


def _begun(arguments: RouteArguments) -> _Begun:
    system, messages = conversation(arguments)
    schema = answer_schema(arguments.response_schema) if arguments.response_schema is not None else None
    return _Begun(system=system, messages=messages, schema=schema)


def _with_files(ready: _Begun, reading: Reading, *, files_first: bool) -> _Begun:
    """Put files beside the instruction, which is the last message."""
    if not ready.messages:
        return ready
    *before, last = ready.messages
    files = fenced(reading.files)
    first, second = (files, last.content) if files_first else (last.content, files)
    whole = replace(
        last,
        content=f"{first}\n\n{second}",
        attachments=reading.attachments,
        shared_chars=len(first) if len(first) > WORTH_CACHING else 0,
    )
    return replace(ready, messages=(*before, whole), files_characters=len(files), skipped=reading.skipped)


def _beginning(ready: _Begun) -> str:
    """The part of a prompt that other calls may begin with too."""
    first = ready.messages[0].content[: ready.messages[0].shared_chars] if ready.messages else ""
    return (ready.system or "") + first


def _continued(app: App, client: str, conversation_id: str, ready: _Begun) -> _Begun:
    """Put what was said so far before what is said now."""
    earlier = app.conversations.get(client, conversation_id)
    if earlier is None:
        hint = "Conversations are kept in memory while the server runs: send the messages themselves."
        raise UnknownNameError("conversation", conversation_id, (), hint=hint)
    return replace(
        ready,
        system=ready.system or earlier.system,
        messages=(*earlier.messages, *ready.messages),
        prefer=earlier.model,
        shared_prefix=True,
    )


def _understood(app: App, arguments: RouteArguments, ready: _Begun) -> Prepared:
    task = understood(
        arguments,
        (ready.system, ready.messages),
        app.routes,
        most_per_call_usd=app.settings.configuration.budgets.per_call_usd,
        files_characters=ready.files_characters,
        shared_prefix=ready.shared_prefix,
    )
    return Prepared(
        task=replace(task, prefer=ready.prefer),
        system=ready.system,
        messages=ready.messages,
        shared_prefix=ready.shared_prefix,
        schema=ready.schema,
        skipped=ready.skipped,
    )
