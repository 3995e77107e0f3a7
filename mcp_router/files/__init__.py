"""Reading what a call names and saving what it answers, inside the allowed folders only."""

from mcp_router.files.atomic_write import FileChangedError
from mcp_router.files.batch_targets import BatchTarget, plan_targets, save_target
from mcp_router.files.check_files import put_sibling, swap_in
from mcp_router.files.code_fences import fence_files, unwrap_code
from mcp_router.files.protected_paths import ProtectedPathError, is_protected_folder, warn_of_execution
from mcp_router.files.reading import FoundFile, ReadLimits, ReadResult, SourceFile, find_files, read_file, read_files
from mcp_router.files.roots import FileRefusedError, ResolvedPath, Roots
from mcp_router.files.safe_open import Fingerprint
from mcp_router.files.saving import Saved, SaveOutcome, encode_text, inspect_target, save, save_or_copy
from mcp_router.files.secrets import SecretFileError

__all__ = [
    "BatchTarget",
    "FileChangedError",
    "FileRefusedError",
    "Fingerprint",
    "FoundFile",
    "ProtectedPathError",
    "ReadLimits",
    "ReadResult",
    "ResolvedPath",
    "Roots",
    "SaveOutcome",
    "Saved",
    "SecretFileError",
    "SourceFile",
    "encode_text",
    "fence_files",
    "find_files",
    "inspect_target",
    "is_protected_folder",
    "plan_targets",
    "put_sibling",
    "read_file",
    "read_files",
    "save",
    "save_or_copy",
    "save_target",
    "swap_in",
    "unwrap_code",
    "warn_of_execution",
]
