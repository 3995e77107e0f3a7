"""Runs the command line: `python -P -m mcp_router`."""

import sys

from mcp_router.cli import main

sys.exit(main())
