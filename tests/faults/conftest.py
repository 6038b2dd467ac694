"""Mirrors to break: the fixtures of the sync tests."""

from tests.integration.sync.conftest import first_loads, fresh, loaded, town  # noqa: F401
