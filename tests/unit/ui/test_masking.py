from __future__ import annotations

import pytest

from intra42.ui.masking import masked


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("final_mark is text where a whole number belongs",) * 2,
        (
            'invalid input syntax for type bigint: "jdoe"',
            "invalid input syntax for type bigint: (hidden)",
        ),
        ('value "O\'Neil" of "user_id" is odd', "value (hidden)"),
        ('value "a"jdoe" is odd', "value (hidden)"),
        ('an open quote "jdoe', "an open quote (hidden)"),
        ("the address jdoe@student.42.fr is odd", "the address (hidden) is odd"),
        (
            'insert or update on table "projects_users" violates foreign key constraint '
            '"projects_users_user_id_fkey"',
        )
        * 2,
        ("the run's params: updated_to needs updated_from",) * 2,
        ("it doesn't hold, they're the users' rows",) * 2,
        ("the run's key 'jdoe' is odd", "the run's key (hidden)"),
        ("login='jdoe' is odd", "login=(hidden)"),
        ("the users' name b's jdoe' is odd", "the users' name b(hidden)"),
        ("the value 's jdoe' is odd", "the value (hidden)"),
        ("the name 'O'Neil' is odd", "the name (hidden)"),
        ("logins'jdoe' are odd", "logins(hidden)"),
        ('null value in column "user_id" of relation "campus_users"',) * 2,
    ],
)
def test_a_reason_keeps_our_own_names_and_loses_values(reason: str, shown: str) -> None:
    assert masked(reason) == shown
