"""Files in, files out: what a call names is read and what it answers is saved, inside the allowed folders only."""

from mcp_router.files.batch_targets import Target, save_target, targets_of
from mcp_router.files.code_fences import fenced, unwrapped
from mcp_router.files.keeping import Kept, keep
from mcp_router.files.reading import FoundFile, Reading, ReadLimits, SourceFile, find_files, read_file, read_files
from mcp_router.files.roots import FileRefusedError, Place, Roots
from mcp_router.files.safe_open import Fingerprint
from mcp_router.files.saving import ChangedMeanwhileError, Saved, look, save

__all__ = [
    "ChangedMeanwhileError",
    "FileRefusedError",
    "Fingerprint",
    "FoundFile",
    "Kept",
    "Place",
    "ReadLimits",
    "Reading",
    "Roots",
    "Saved",
    "SourceFile",
    "Target",
    "fenced",
    "find_files",
    "keep",
    "look",
    "read_file",
    "read_files",
    "save",
    "save_target",
    "targets_of",
    "unwrapped",
]
