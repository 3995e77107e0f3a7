"""An answer of background work that is paid for, as it is kept until it is delivered."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from mcp_router.execution.call import Generation
from mcp_router.text import strip_controls
from providers.completion import Completion


class KeptAnswer(BaseModel):
    """One answer, or the failure that takes its place."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    text: str | None = None
    """None once it is saved to its file."""
    model: str = ""
    finish_reason: str = "stop"
    citations: tuple[str, ...] = ()
    fallbacks: int = 0
    escalations: int = 0
    inferred: Mapping[str, object] = {}
    warnings: tuple[str, ...] = ()
    source_sha256: str | None = None
    """Of the file that it answers."""
    saved_to: str | None = None
    """Name of the file that has it."""
    error: str | None = None
    """Why there is no answer, if money was spent on it."""

    @classmethod
    def from_completion(cls, completion: Completion, source_sha256: str | None) -> KeptAnswer:
        """Return an answer before its attempt is recorded."""
        return cls(
            text=strip_controls(completion.text),
            model=completion.model,
            finish_reason=completion.finish_reason,
            citations=tuple(strip_controls(citation) for citation in completion.citations),
            source_sha256=source_sha256,
        )

    @classmethod
    def from_generation(cls, generation: Generation, source_sha256: str | None) -> KeptAnswer:
        """Return an answer with what was tried for it."""
        task = generation.plan.task
        found = cls.from_completion(generation.completion, source_sha256)
        return found.model_copy(
            update={
                "model": generation.candidate.model.id,
                "fallbacks": generation.fallbacks,
                "escalations": generation.escalations,
                "inferred": {what: getattr(task, what) for what in task.inferred},
                "warnings": generation.warnings,
            }
        )
