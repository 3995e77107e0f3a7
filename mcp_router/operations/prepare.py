"""Makes a caller's arguments ready to be run: reads the files, checks the schema, finds the conversation."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from anyio import fail_after

from mcp_router.app import App
from mcp_router.errors import CallTimeoutError, UnknownNameError
from mcp_router.execution.answer_schema import AnswerSchema
from mcp_router.execution.call import CallRequest
from mcp_router.execution.check_command import AGREE, CheckCommand
from mcp_router.execution.conversations import WORTH_CACHING
from mcp_router.execution.validation import TargetCheck, build_validator, prepare_schema
from mcp_router.files import FoundFile, ReadResult, ResolvedPath, Roots, SourceFile, fence_files, read_file, read_files
from mcp_router.ledger.connect import list_files
from mcp_router.ledger.origin import CURRENT_ORIGIN
from mcp_router.operations.arguments import GenerateArguments, RouteArguments
from mcp_router.operations.checks import find_check, require_comparable
from mcp_router.operations.classify import classify, to_conversation
from mcp_router.routing.request import RoutingRequest
from mcp_router.settings import data_folder, default_path
from providers.completion import Message, OnText


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedCall:
    """A task with its words, ready to ask."""

    task: RoutingRequest
    system: str | None
    messages: tuple[Message, ...]
    shared_prefix: bool
    schema: AnswerSchema | None
    skipped: tuple[str, ...] = ()
    """Files a glob named that could not be read, and why."""
    check: TargetCheck | None = None
    """What proves the answer, and the file that it is meant for."""

    def add_check(self, command: CheckCommand | None, place: ResolvedPath | None) -> PreparedCall:
        """Return the call with a check on its answer, if there is one."""
        if command is None or place is None:
            return self
        return replace(self, check=TargetCheck(command=command, place=place))


def allowed_roots(app: App) -> Roots:
    """Return the folders in which files can be read and written."""
    settings = app.settings
    # A caller that writes these raises a budget or erases what was spent.
    own = (settings.path or default_path(), data_folder(), *list_files(settings.database_url))
    own += () if settings.key_file is None else (settings.key_file,)
    return Roots.from_settings(
        settings.allowed_roots,
        base=settings.working_folder,
        own=own,
        secrets=settings.configuration.allow_secrets_in,
        protected=settings.configuration.allow_saving_to,
        reason=settings.no_roots_reason,
    )


@contextmanager
def limit_preparation(deadline_s: float) -> Generator[None]:
    """Limit how long files are searched and read before a call begins.

    Raises:
        CallTimeoutError: It took longer than `deadline_s` seconds.
    """
    try:
        with fail_after(deadline_s):
            yield
    except TimeoutError as exc:
        raise CallTimeoutError(
            f"Finding and reading the files took more than deadline_s = {deadline_s:g} s, so no model was asked. "
            "Name fewer files, or a folder deeper down."
        ) from exc


async def prepare_call(app: App, arguments: RouteArguments, *, client: str = "local") -> PreparedCall:
    """Read what a call names and understand what it wants; spends nothing.

    Raises:
        BadInputError: A file, a name or the schema cannot be used.
        LedgerError: The conversation may be stored, but cannot be read now.
    """
    ready = await _start_draft(arguments, client)
    if arguments.files:
        reading = await read_files(arguments.files, allowed_roots(app), base=app.settings.working_folder)
        # Files first: calls that ask several things of the same files then share their beginning.
        ready = _add_files(ready, reading, files_first=True)
    ready = replace(
        ready, shared_prefix=app.prefixes.has_seen(_shared_prefix(ready), note=isinstance(arguments, GenerateArguments))
    )
    ready = await _add_conversation(app, client, arguments.conversation_id, ready)
    return _infer_task(app, arguments, ready)


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchPrompt:
    """One instruction, ready to be put to any number of files."""

    app: App
    arguments: GenerateArguments
    draft: _Draft
    check: CheckCommand | None = None

    @property
    def task(self) -> RoutingRequest:
        """The task before any file is put to it."""
        return _infer_task(self.app, self.arguments, self.draft).task

    async def prepare_for(self, found: FoundFile) -> tuple[PreparedCall, SourceFile]:
        """Put the instruction to one file: the instruction comes first, since that is what the calls share.

        Raises:
            FileRefusedError: The file cannot be read.
        """
        source = await read_file(found)
        ready = _add_files(self.draft, ReadResult(files=(source,)), files_first=False)
        return _infer_task(self.app, self.arguments, ready), source


async def prepare_batch(app: App, arguments: GenerateArguments, *, client: str) -> BatchPrompt:
    """Make ready what the calls of a `per_file` have in common; spends nothing.

    Raises:
        BadInputError: A name or the schema cannot be used.
        LedgerError: The conversation may be stored, but cannot be read now.
    """
    check = find_check(app, arguments, client)
    begun = await _start_draft(arguments, client)
    shared = len(begun.system or "") + len(begun.messages[-1].content) > WORTH_CACHING
    begun = await _add_conversation(app, client, arguments.conversation_id, replace(begun, shared_prefix=shared))
    return BatchPrompt(app=app, arguments=arguments, draft=begun, check=check)


def to_call_request(
    ready: PreparedCall,
    arguments: GenerateArguments,
    *,
    client: str,
    call_id: str | None = None,
    on_text: OnText | None = None,
) -> CallRequest:
    """Say what the router is to be asked."""
    return CallRequest(
        task=ready.task,
        messages=ready.messages,
        system=ready.system,
        temperature=arguments.temperature,
        response_schema=ready.schema.document if ready.schema is not None else None,
        shared_prefix=ready.shared_prefix,
        client=client,
        call_id=call_id,
        validate=build_validator(ready.schema, may_be_cut=arguments.max_output_tokens is not None, check=ready.check),
        check=arguments.check,
        validation_s=ready.check.command.timeout_s if ready.check is not None else 0.0,
        on_text=on_text if arguments.check is None else None,  # no text before it is proven
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    """What is known of a call before it is understood."""

    system: str | None
    messages: tuple[Message, ...]
    schema: AnswerSchema | None
    client: str = "local"
    files_characters: int = 0
    file_names: tuple[str, ...] = ()
    shared_prefix: bool = False
    prefer: str | None = None
    skipped: tuple[str, ...] = ()


async def _start_draft(arguments: RouteArguments, client: str) -> _Draft:
    system, messages = to_conversation(arguments)
    schema = await prepare_schema(arguments.response_schema) if arguments.response_schema is not None else None
    return _Draft(system=system, messages=messages, schema=schema, client=client)


def _add_files(ready: _Draft, reading: ReadResult, *, files_first: bool) -> _Draft:
    """Put files beside the instruction, which is the last message."""
    if not ready.messages:
        return ready
    *before, last = ready.messages
    files = fence_files(reading.files)
    first, second = (files, last.content) if files_first else (last.content, files)
    whole = replace(
        last,
        content=f"{first}\n\n{second}",
        attachments=reading.attachments,
        shared_chars=len(first) if len(first) > WORTH_CACHING else 0,
    )
    names = tuple(file.name for file in reading.files)
    return replace(
        ready,
        messages=(*before, whole),
        files_characters=len(files),
        file_names=names,
        skipped=reading.skipped,
    )


def _shared_prefix(ready: _Draft) -> str:
    """Return the part of a prompt that other calls can start with too."""
    first = ready.messages[0].content[: ready.messages[0].shared_chars] if ready.messages else ""
    return (ready.system or "") + first


async def _add_conversation(app: App, client: str, conversation_id: str | None, ready: _Draft) -> _Draft:
    """Put what was said so far before what is said now."""
    if conversation_id is None:
        return ready
    earlier = await app.conversations.get(client, conversation_id)
    if earlier is None:
        where = "the ledger" if app.conversations.are_stored else "memory while the server runs"
        hint = f"It is the call_id of an earlier answer, kept in {where}: otherwise send the messages themselves."
        raise UnknownNameError("conversation", conversation_id, (), hint=hint)
    *before, last = (replace(message, shared_chars=0) for message in earlier.messages)
    worth = earlier.characters > WORTH_CACHING
    # One mark after all that was said: vendors take few, and look up the longest beginning that they know.
    last = replace(last, shared_chars=len(last.content) if worth else 0)
    return replace(
        ready,
        system=ready.system or earlier.system,
        messages=(*before, last, *ready.messages),
        prefer=earlier.model,
        shared_prefix=ready.shared_prefix or worth,
    )


def _infer_task(app: App, arguments: RouteArguments, ready: _Draft) -> PreparedCall:
    client = app.settings.configuration.clients.get(ready.client)
    task = classify(
        arguments,
        (ready.system, ready.messages),
        app.routes,
        providers=app.catalog.providers,
        per_call_usd=app.settings.configuration.budgets.per_call_usd,
        budgets_usd=[
            limit.limit_usd
            for limit in app.settings.limits()
            if limit.applies_to(ready.client, CURRENT_ORIGIN.get().project)
        ],
        files_characters=ready.files_characters,
        file_names=ready.file_names,
        shared_prefix=ready.shared_prefix,
        prefer=ready.prefer,
        client=ready.client,
        client_models=client.models if client is not None else None,
    )
    if arguments.patience != "now":
        task = replace(task, can_wait=True)
    if arguments.check == AGREE:
        require_comparable(arguments, task.use_case)
        task = replace(task, needs_agreement=True)
    return PreparedCall(
        task=task,
        system=ready.system,
        messages=ready.messages,
        shared_prefix=ready.shared_prefix,
        schema=ready.schema,
        skipped=ready.skipped,
    )
