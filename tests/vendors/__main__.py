"""`python -m tests.vendors --port N [--delay-ms 50]`: every vendor, for benchmarks and other processes."""

from __future__ import annotations

import argparse
import sys

import anyio

from providers.registry import PROVIDER_NAMES
from tests.vendors.server import vendor_server


async def serve(port: int, delay_ms: float) -> None:
    async with vendor_server(port) as vendors:
        for name in PROVIDER_NAMES:
            vendors.delay(name, delay_ms / 1000)
        sys.stdout.write(f"{vendors.root}\n")
        sys.stdout.flush()
        await anyio.sleep_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.vendors")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay-ms", type=float, default=0)
    chosen = parser.parse_args()
    try:
        anyio.run(serve, chosen.port, chosen.delay_ms)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
