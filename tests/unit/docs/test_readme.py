"""What the documentation says is so: tables, names, defaults, links, SQL and messages."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.sdk import Connection
from msgspec.structs import fields
from psycopg import sql
from psycopg.types.json import Jsonb

from dev.docs.readme import MIRROR, handbook, resource_table, with_table
from dev.stack.settings import ROOT, IntraAccount
from intra42.catalog import graph
from intra42.catalog.resources import RESOURCES
from intra42.dag_factory import build_dag
from intra42.hooks import Intra42Hook
from intra42.run.connections import DEFAULT_BASE_URL, settings_of
from intra42.settings import Config, parse_config, parse_request
from intra42.verify.absence import _places
from intra42.warehouse.schema import migrate
from intra42.warehouse.statements import compose

PAGES = tuple(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md")))
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *PAGES)
MOST_BYTES_OF_A_PICTURE = 300_000
USER, ENROLMENT = 77, 123456

README_TEXT = handbook()


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(language: str, text: str = README_TEXT) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def rows_below(head: str) -> list[list[str]]:
    """Return the cells of the table whose first line starts with this head."""
    lines = README_TEXT.split(f"\n| {head} |", 1)[1].split("\n")[2:]
    rows: list[list[str]] = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def code(cell: str) -> str:
    return cell.strip("`")


def test_the_table_of_resources_is_fresh() -> None:
    text = MIRROR.read_text(encoding="utf-8")
    assert with_table(text) == text, "run `make docs`"


def test_the_table_of_resources_has_every_table_once() -> None:
    named = re.findall(r"^\| `(\w+)`", resource_table(), re.MULTILINE)
    links = [link.table for resource in RESOURCES for link in resource.links]
    assert sorted(named) == sorted([*(resource.name for resource in RESOURCES), *links])


def test_missing_markers_are_named() -> None:
    with pytest.raises(ValueError, match="make docs"):
        with_table("# intra42\n")


def test_the_settings_and_their_defaults_are_those_of_the_code() -> None:
    documented = {
        code(row[0]): json.loads(code(row[1])) for row in rows_below("Key of `intra42_config`")
    }
    defaults = {field.name: getattr(Config(), field.name) for field in fields(Config)}
    assert documented == json.loads(json.dumps(defaults))


def test_the_params_and_their_defaults_are_those_of_the_dags() -> None:
    documented = {
        code(row[0]): None if row[1] == "none" else json.loads(code(row[1]))
        for row in rows_below("Param")
    }
    dag = build_dag("documented", schedule="0 2 * * *", title="", what="", reference=True)
    assert documented == {name: dag.params[name] for name in dag.params}


def test_the_fields_of_the_connection_and_their_defaults_are_those_of_the_hook() -> None:
    settings = settings_of(Connection(conn_id="c", login="id", password="secret"))
    fields_of = {code(row[0].split()[-1]): row[1] for row in rows_below("Field of `intra42_api`")}
    assert fields_of.keys() == {
        *("host", "login", "password"),
        *("scope", "requests_per_second", "requests_per_hour", "timeout_s"),
    }
    assert DEFAULT_BASE_URL in fields_of["host"]
    for name in ("scope", "requests_per_second", "requests_per_hour", "timeout_s"):
        value = getattr(settings, name)
        shown = f"{value:g}" if isinstance(value, float) else f"{value}"
        assert fields_of[name].replace("`", "").endswith(f"default {shown}"), name


def test_every_key_of_the_connections_extra_is_documented() -> None:
    source = text_of("plugins/intra42/run/connections.py")
    read_keys = set(re.findall(r'extra(?:\.get\(|, )"(\w+)"', source))
    documented = {code(row[0].split()[-1]) for row in rows_below("Field of `intra42_api`")}
    assert read_keys
    assert read_keys <= documented


def test_the_connections_and_the_variable_have_the_names_of_the_code() -> None:
    hook = Intra42Hook()
    commands = "".join(blocks("sh"))
    added = re.findall(r"airflow connections add (\w+)", commands)
    assert added == [hook.intra42_conn_id, hook.intra42_db_conn_id]
    operator = build_dag("documented", schedule="0 2 * * *", title="", what="", reference=False)
    variables = re.findall(r"airflow variables set (\w+)", commands)
    assert variables == [operator.get_task("open_run").config_variable]


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    for name in DOCUMENTS:
        text = text_of(name)
        spans = [*re.findall(r"`(make [^`\n]+)`", text), *blocks("sh", text)]
        for span in spans:
            for target in re.findall(r"\bmake ([a-z-]+)", span):
                assert target in targets, f"{name}: make {target}"


def test_the_dags_named_in_commands_exist() -> None:
    named = re.findall(r"(?:--dag-id|dags trigger) (\w+)", README_TEXT)
    assert named
    for name in named:
        assert (ROOT / "dags" / f"{name}.py").is_file()


def test_json_in_commands_is_accepted() -> None:
    commands = "".join(blocks("sh"))
    settings = re.findall(r"variables set intra42_config '(.*?)'", commands)
    confs = re.findall(r"--conf '(.*?)'", commands)
    assert settings
    assert confs
    for text in settings:
        parse_config(json.loads(text))
    params = {code(row[0]) for row in rows_below("Param")}
    for text in confs:
        conf = json.loads(text)
        assert conf.keys() <= params
        parse_request(None, conf)


def test_the_demos_environment_has_the_names_of_the_code() -> None:
    names = sorted(set(re.findall(r"INTRA42_[A-Z_]+", README_TEXT)))
    assert IntraAccount.find(dict.fromkeys(names, "7"), {}) is not None
    for name in names:
        assert f"\n{name}=" in text_of(".env.example")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", text_of(name)):
        if target.startswith("https://"):
            continue
        path, _hash, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in slugs, target


def test_the_index_of_docs_links_to_every_page() -> None:
    links = re.findall(r"^- \[.+?\]\(([\w./-]+\.md)\): \w", text_of("docs/README.md"), re.MULTILINE)
    assert sorted(f"docs/{link}" for link in links) == sorted({*PAGES} - {"docs/README.md"})


def test_the_folders_of_contributing_exist() -> None:
    folders = re.findall(r"^\| `([^`]+/?)`", text_of("CONTRIBUTING.md"), re.MULTILINE)
    assert folders
    for folder in folders:
        assert (ROOT / folder).exists(), folder


def test_pictures_are_small() -> None:
    pictures = re.findall(r"!\[.+?\]\(([^)]+)\)", README_TEXT)
    assert len(pictures) == 4
    for picture in pictures:
        assert (ROOT / picture).stat().st_size < MOST_BYTES_OF_A_PICTURE


def test_the_changelog_has_the_version_and_its_four_sections() -> None:
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    text = text_of("CHANGELOG.md")
    assert f"\n## {version}\n" in text
    sections = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert sections <= {"Tables", "Behaviour", "Fixed", "Internal"}


def test_the_api_document_has_every_endpoint_of_the_catalogue() -> None:
    text = text_of("docs/api.md")
    for resource in RESOURCES:
        for path in filter(None, (resource.endpoint, resource.by_id)):
            assert f"`{re.sub(r'{.*?}', ':id', path)}`" in text, path
        for key in filter(
            None, (resource.user_key, resource.campus_filter, resource.cursus_filter)
        ):
            assert f"`{key}" in text, f"{resource.name}: {key}"


def _without_line_breaks_in_strings(source: str) -> str:
    return re.sub(r'"\s*\n\s*f?"', "", source)


def test_quoted_messages_are_those_of_the_code() -> None:
    files = sorted(Path(ROOT, "plugins", "intra42").rglob("*.py"))
    source = "".join(_without_line_breaks_in_strings(file.read_text("utf-8")) for file in files)
    rows = rows_below("Message")
    messages = [span for row in rows for span in re.findall(r"`([^`]+)`", row[0])]
    assert len(messages) >= len(rows)
    below = README_TEXT.split("## Troubleshooting", 1)[1].split("\n## ", 1)[0]
    messages += re.findall(r"says `([^`]+)`", " ".join(below.split()))
    for message in messages:
        for part in filter(None, (piece.strip(" ") for piece in message.split("..."))):
            assert part in source, message


@pytest.fixture
def warehouse(database_url: str) -> psycopg.Connection[Any]:
    connection = psycopg.connect(database_url, autocommit=True)
    migrate(connection)
    return connection


@pytest.mark.parametrize("number", range(len(blocks("sql"))))
def test_sql_runs_against_the_schema(warehouse: psycopg.Connection[Any], number: int) -> None:
    with warehouse as connection:
        connection.execute(blocks("sql")[number])  # type: ignore[arg-type]


def test_the_selects_of_shell_commands_run(warehouse: psycopg.Connection[Any]) -> None:
    selects = re.findall(r'(?:\\copy \(|-Atc ")(select .*?)(?:\) to|")', "".join(blocks("sh")))
    assert len(selects) == 2
    with warehouse as connection:
        for select in selects:
            connection.execute(select)


def _mirror_an_enrolment(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    own = {"_synced_at": "2026-01-31T12:00:00Z", "_run_id": "run", "_seq": 5}
    enrolment = {
        "id": ENROLMENT,
        "user_id": USER,
        "cursus_id": 21,
        "grade": "Member",
        "level": 7.599999999999,
        "skills": [{"id": 4, "name": "Unix", "level": 2.42}],
        "begin_at": "2023-03-25T04:41:03.902Z",
        "has_coalition": True,
        "updated_at": "2026-01-26T05:42:43.23Z",
    }
    rows = {"cursus": {"id": 21}, "users": {"id": USER}, "cursus_users": enrolment}
    insert = "insert into {0} select * from jsonb_populate_record(null::{0}, %s)"
    for name, row in rows.items():
        target = sql.Identifier("intra42", name)
        connection.execute(sql.SQL(insert).format(target), [Jsonb(row | own)])
    found = connection.execute("select to_jsonb(e) from intra42.cursus_users as e").fetchone()
    assert found is not None
    return dict(found[0])


def test_the_undo_of_a_delete_brings_the_whole_row_back(
    warehouse: psycopg.Connection[Any],
) -> None:
    undo = next(block for block in blocks("sql") if "jsonb_populate_record" in block)
    assert str(ENROLMENT) in undo
    with warehouse as connection:
        before = _mirror_an_enrolment(connection)
        delete = compose("absence/delete", cursus=sql.SQL(""), **_places(graph.get("cursus_users")))
        connection.execute(
            delete,
            {
                "dag_id": "intra42_nightly",
                "run_id": "run",
                "resource": "cursus_users",
                "ids": [ENROLMENT],
                "seqs": [9],
                "deleted_at": "2026-02-01T00:00:00Z",
                "reason": "absent",
            },
        )
        count = "select count(*) from intra42.cursus_users"
        assert connection.execute(count).fetchone() == (0,)

        connection.execute(undo)
        connection.execute(undo)

        after = connection.execute("select to_jsonb(e) from intra42.cursus_users as e").fetchall()
        assert [{**row[0], "_seq": 5} for row in after] == [before]
        open_graves = "select count(*) from intra42.tombstones where restored_at is null"
        assert connection.execute(open_graves).fetchone() == (0,)


def test_the_example_of_an_own_dag_is_a_dag() -> None:
    (example,) = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert set(names["dag"].task_ids) == {"attempts", "count_piscine_enrolments"}
