"""The files of a batch, each with its number and the file that its answer is saved to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import PurePath

from mcp_router.app import App
from mcp_router.errors import BadInputError
from mcp_router.files import find_files, plan_targets
from mcp_router.operations.arguments import GenerateArguments
from mcp_router.operations.background.recorder import TaskRecorder
from mcp_router.operations.batch.results import MAX_LISTED_FILES, BatchItem, BatchResults
from mcp_router.operations.prepare import BatchPrompt, allowed_roots

MAX_CONCURRENT_CALLS = 8
"""Calls in flight at the same time."""

_MAX_RESULT_TOKENS = 20_000
"""Tokens of answers that one result may hold: hosts refuse results not much longer."""
_IRRELEVANT_TO_ANSWER = {
    *("files", "save_to", "per_file", "resume", "overwrite"),
    *("use_case", "complexity", "budget_tier", "model", "max_cost_usd"),
}
"""What an answer does not depend on: with another model or more money a resumed call does only what is missing, too."""


async def plan_items(app: App, arguments: GenerateArguments, each: BatchPrompt) -> list[BatchItem]:
    """Find the files of a batch and where their answers go; spends nothing.

    Raises:
        BadInputError: A file or a target is refused, or the answers are too long for one result.
    """
    base = app.settings.working_folder
    found = await find_files(arguments.files, allowed_roots(app), base=base)
    if arguments.save_to is None:
        _require_listable(len(found), each)
        return [BatchItem(number=number, found=one, target=None) for number, one in enumerate(found, 1)]
    targets = await plan_targets(
        found,
        arguments.save_to,
        allowed_roots(app),
        base=base,
        task=digest_task(arguments),
        suffix=_choose_suffix(arguments),
        resume=arguments.resume,
    )
    return [BatchItem(number=number, found=target.source, target=target) for number, target in enumerate(targets, 1)]


async def number_as_before(recorder: TaskRecorder, items: list[BatchItem], results: BatchResults) -> list[BatchItem]:
    """Return the items that the first process of a task had, with their numbers."""
    numbers = await recorder.number_files([str(item.found.place.path) for item in items])
    there = {str(item.found.place.path): item for item in items}
    results.total = len(numbers)
    for path, number in numbers.items():
        if path not in there:
            kept = recorder.kept.get(number)
            results.record_gone(number, PurePath(path).name, saved=kept is not None and kept.saved_to is not None)
    return [replace(item, number=numbers[path]) for path, item in there.items() if path in numbers]


def name_pattern(item: BatchItem) -> str | None:
    """Say how answers are named after their files, say `notes/*.md`."""
    if item.target is None:
        return None
    name, source = "/" + item.target.place.name, "/" + item.found.name
    before, found, after = name.rpartition(source)
    return f"{before}/*{after}"[1:] if found else item.target.place.name


def _require_listable(count: int, each: BatchPrompt) -> None:
    """Keep answers that together no host would show out of a result: they would be paid for and lost."""
    need = each.task.requirements
    length = need.max_output_tokens or need.typical_usage.output_tokens
    most = min(MAX_LISTED_FILES, max(MAX_CONCURRENT_CALLS, _MAX_RESULT_TOKENS // length))
    if count > most:
        raise BadInputError(
            f"{count} answers of about {length} tokens are too much for one result: name a folder in save_to, "
            f"or at most {most} files."
        )


def _choose_suffix(arguments: GenerateArguments) -> str:
    return ".md" if arguments.response_schema is None else ".json"


def digest_task(arguments: GenerateArguments) -> str:
    """Name everything an answer's words depend on besides its file."""
    what = arguments.model_dump(mode="json", exclude=_IRRELEVANT_TO_ANSWER)
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]
