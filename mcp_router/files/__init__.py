"""Files in, files out: what a call names is read and what it answers is saved, inside the allowed folders only."""

from mcp_router.files.batch_targets import BatchTarget, plan_targets, save_target
from mcp_router.files.code_fences import fence_files, unwrap_code
from mcp_router.files.keeping import SaveOutcome, save_or_copy
from mcp_router.files.reading import FoundFile, ReadLimits, ReadResult, SourceFile, find_files, read_file, read_files
from mcp_router.files.roots import FileRefusedError, ResolvedPath, Roots
from mcp_router.files.safe_open import Fingerprint
from mcp_router.files.saving import FileChangedError, Saved, inspect_target, save

__all__ = [
    "BatchTarget",
    "FileChangedError",
    "FileRefusedError",
    "Fingerprint",
    "FoundFile",
    "ReadLimits",
    "ReadResult",
    "ResolvedPath",
    "Roots",
    "SaveOutcome",
    "Saved",
    "SourceFile",
    "fence_files",
    "find_files",
    "inspect_target",
    "plan_targets",
    "read_file",
    "read_files",
    "save",
    "save_or_copy",
    "save_target",
    "unwrap_code",
]
