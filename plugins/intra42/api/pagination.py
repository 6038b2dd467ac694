"""Whole listings, page by page, each page checked against the API's own total."""

from intra42.api.keyset import keyset
from intra42.api.numbered import numbered
from intra42.api.page import LAST_ID, Listing, Page, record_id

__all__ = ["LAST_ID", "Listing", "Page", "keyset", "numbered", "record_id"]
