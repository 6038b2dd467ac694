"""The catalogue contradicts neither itself nor the real API."""

from __future__ import annotations

import dataclasses
import re

import pytest

from intra42.catalog import graph
from intra42.catalog.check import check
from intra42.catalog.model import Column, Ref, Resource, Source, Type
from intra42.catalog.resources import RESOURCES
from intra42.errors import CatalogError

ID = Column(name="id", type=Type.BIGINT, path=("id",), required=True)
UNDESCRIBED = tuple(
    dataclasses.replace(column, description="") for column in graph.get("campus_users").columns
)


def resource(name="things", **given):
    values = {"group": "primary", "endpoint": f"/v2/{name}", "columns": (ID,)} | given
    return Resource(name=name, **values)


def test_task_edges_are_those_of_the_foreign_keys_and_derived_columns():
    assert graph.edges(graph.of_group("reference")) == {
        "cursus": frozenset(),
        "campuses": frozenset(),
        "projects": {"cursus", "campuses"},
        "achievements": {"campuses"},
        "coalitions": {"cursus", "campuses"},
    }
    assert graph.edges(graph.of_group("primary")) == {
        "users": frozenset(),
        "campus_users": {"users"},
        "cursus_users": {"users"},
        "projects_users": {"campus_users"},
        "achievements_users": {"cursus_users"},
        "coalitions_users": {"users"},
    }


def test_a_circle_is_refused_by_name():
    refs = ("a", "b"), ("b", "c"), ("c", "a")
    circle = [
        resource(
            own,
            columns=(ID, Column(name="other_id", type=Type.BIGINT, path=("other_id",))),
            references=(Ref("other_id", other),),
        )
        for own, other in refs
    ]
    with pytest.raises(CatalogError, match="circle"):
        graph.edges(circle)


def test_an_unknown_resource_is_named_beside_those_there_are():
    with pytest.raises(CatalogError, match="no resource 'user'; the catalogue has cursus"):
        graph.get("user")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"columns": (ID, ID)}, "declared twice"),
        ({"columns": ()}, "the column id is used but not declared"),
        ({"references": (Ref("user_id", "users"),)}, "the column user_id is used"),
        ({"cursor_field": "updated_at"}, "the cursor field updated_at is not a column"),
        ({"embedded_in": "projects"}, "nothing says where in projects its rows are"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(given, said):
    with pytest.raises(CatalogError, match=said):
        resource(**given)


def test_what_is_embedded_is_read_with_its_owner_and_not_for_itself():
    assert [found.name for found in graph.embedded_in("projects")] == ["project_sessions"]
    assert graph.get("project_sessions") not in graph.of_group("reference")
    assert graph.read_with("project_sessions") is graph.get("projects")
    assert graph.read_with("projects") is graph.get("projects")


def test_everything_a_user_has_is_his_history():
    assert graph.history(["all"]) == graph.children_of_users()
    assert {found.name for found in graph.history([])} == {
        "campus_users",
        "cursus_users",
        "projects_users",
        "achievements_users",
        "coalitions_users",
    }


@pytest.mark.parametrize("found", RESOURCES, ids=lambda found: found.name)
def test_a_resource_declares_what_its_readers_need(found):
    assert found.columns[0].name == "id"
    assert found.columns[0].required
    assert 1 <= found.page_size <= 100
    if found.group == "primary":
        assert found.cursor_field == "updated_at"
        assert found.user_key
    for column in found.columns:
        assert bool(column.path) == (column.source is not Source.DERIVED)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.name = "other"


@pytest.mark.parametrize("found", RESOURCES, ids=lambda found: found.name)
def test_every_table_and_column_is_described(found):
    assert [column.name for column in found.columns if not column.description] == []
    assert found.description
    for link in found.links:
        assert link.description
        assert link.own_is
        assert link.other_is


def test_only_endpoints_that_exist_are_asked():
    always = [found for found in RESOURCES if not found.is_optional]
    paths = {found.endpoint for found in always} | {found.by_id for found in always}
    assert paths - {None} == {
        "/v2/cursus",
        "/v2/campus",
        "/v2/cursus/{cursus_id}/projects",
        "/v2/projects",
        "/v2/campus/{campus_id}/achievements",
        "/v2/achievements",
        "/v2/blocs",
        "/v2/cursus/{cursus_id}/users",
        "/v2/users",
        "/v2/campus_users",
        "/v2/cursus_users",
        "/v2/projects_users",
        "/v2/achievements_users",
        "/v2/coalitions_users",
    }
    assert not graph.get("projects_users").sortable


def test_the_catalogue_contradicts_itself_nowhere():
    check()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"title": ""}, "no title says what its task does"),
        ({"description": ""}, "no description says what it is"),
        ({"columns": UNDESCRIBED}, "no description says what the column id is"),
        ({"group": "secondary"}, "there is no group secondary"),
        ({"user_key": None}, "no filter takes user ids"),
        ({"by_id": None}, "no listing takes ids"),
        ({"cursor_field": None}, "no cursor field says what has changed"),
        ({"references": ()}, "its rows belong to nobody"),
        ({"open_until": "end_at", "silent": ("id",)}, "open_until names end_at, which is no"),
        ({"followed_by": "owner_id"}, "followed_by names owner_id, which is no column"),
        ({"silent": ("id",)}, "it needs both or neither"),
        ({"triggers": "things"}, "triggers names things, which is no table of the catalogue"),
        ({"derives_from": ("users",)}, "no column is derived"),
    ],
)
def test_a_table_that_cannot_work_is_told_before_any_dag_is_parsed(given, said):
    declared = dataclasses.replace(graph.get("campus_users"), **given)
    others = [found for found in RESOURCES if found.name != "campus_users"]
    with pytest.raises(CatalogError, match=f"^campus_users: .*{re.escape(said)}"):
        check([*others, declared])
