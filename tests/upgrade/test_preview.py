"""A mirror that somebody tried out before the baseline is taken over as it is."""

from __future__ import annotations

import psycopg
import pytest

from intra42.errors import CatalogError
from intra42.warehouse.schema import migrate
from tests.upgrade.schemas import PREVIEW, apply_preview, dumped


@pytest.fixture
def other_url(postgres):
    postgres.ensure_database("preview")
    yield postgres.url("preview")
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("drop database preview with (force)")


def test_the_baseline_equals_the_migrations_before_it(database_url, other_url):
    apply_preview(other_url)
    for url in (database_url, other_url):
        with psycopg.connect(url, autocommit=True) as connection:
            migrate(connection)
            assert migrate(connection) == []
    assert dumped(other_url) == dumped(database_url)


def test_what_was_mirrored_before_the_baseline_is_kept(database_url):
    apply_preview(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "insert into intra42.cursus (id, name, _synced_at, _seq) values (21, '42', now(), 1)"
        )
        connection.execute(
            "insert into intra42.sync_state (dag_id, resource, scope, watermark) "
            "values ('intra42_nightly', 'users', '67/21', now())"
        )
        migrate(connection)
        assert connection.execute("select id, name from intra42.cursus").fetchall() == [(21, "42")]
        used = connection.execute("select used from intra42.settings").fetchall()
        assert used == [({"campus_ids": [67]},)]


@pytest.mark.parametrize("last", [PREVIEW[0], PREVIEW[-2]])
def test_an_older_one_is_refused_in_one_sentence_and_left_alone(database_url, last):
    apply_preview(database_url, up_to=last)
    before = dumped(database_url)
    with (
        psycopg.connect(database_url, autocommit=True) as connection,
        pytest.raises(CatalogError, match=f"schema intra42 is at {last}, which no version"),
    ):
        migrate(connection)
    assert dumped(database_url) == before
    with psycopg.connect(database_url) as connection:
        names = connection.execute("select name from intra42.schema_migrations order by name")
        assert [name for (name,) in names] == PREVIEW[: PREVIEW.index(last) + 1]
