"""Vendors to test against: a real server on loopback that checks a request and answers as each of them does."""

from tests.vendors.answers import CITATIONS, Reply
from tests.vendors.server import Received, Vendors, vendor_server

__all__ = ["CITATIONS", "Received", "Reply", "Vendors", "vendor_server"]
