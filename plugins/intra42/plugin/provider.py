"""What Airflow asks of an installed package: its name, its hook and the form of its connection.

Airflow finds this through the entry point `apache_airflow_provider`, so only where the package is
installed: copied folders have no entry points.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

DISTRIBUTION = "airflow-provider-intra42"

_FORM = {
    # Not the port: the button "Test" of Airflow 3.3 sends 0 for an empty one, and is then refused
    # because that is another port than the stored one.
    "hidden-fields": ["schema", "extra"],
    "relabeling": {"host": "Base URL", "login": "Client ID", "password": "Client secret"},
    "placeholders": {
        "host": "https://api.intra.42.fr",
        "port": "443 (Airflow's button Test wants a port)",
        "login": "UID of your application: u-s4t2…",
        "password": "SECRET of your application: s-s4t2…",
    },
}

# A name is the key in the connection's extra. An empty field is null there: the default holds.
_FIELDS = {
    "requests_per_second": {
        "label": "Requests per second",
        "description": "Until the Intra announces the application's own limit. Empty: 2.",
        "schema": {"type": ["number", "null"], "minimum": 0.01},
    },
    "requests_per_hour": {
        "label": "Requests per hour",
        "description": "Until the Intra announces the application's own limit. Empty: 1200.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "scope": {
        "label": "Scope",
        "description": (
            "Scopes of the token, separated by blanks. Empty: public, which is enough for the "
            "mirror."
        ),
        "schema": {"type": ["string", "null"]},
    },
    "timeout_s": {
        "label": "Timeout, seconds",
        "description": "The longest silence while waiting for an answer. Empty: 60.",
        "schema": {"type": ["number", "null"], "minimum": 1},
    },
}


def get_provider_info() -> dict[str, Any]:
    """Return the description of this package, in the form of Airflow's `provider_info` schema."""
    return {
        "package-name": DISTRIBUTION,
        "name": "Intra42",
        "description": "A true, cheap, always fresh PostgreSQL mirror of the 42 School Intra API.",
        "versions": [version(DISTRIBUTION)],
        "integrations": [
            {
                "integration-name": "42 Intra",
                "external-doc-url": "https://api.intra.42.fr/apidoc",
                "tags": ["service"],
            }
        ],
        "hooks": [
            {"integration-name": "42 Intra", "python-modules": ["intra42.hooks.intra42"]},
        ],
        "operators": [
            {
                "integration-name": "42 Intra",
                "python-modules": [
                    "intra42.operators.sync",
                    "intra42.operators.refresh",
                    "intra42.operators.audit",
                ],
            },
        ],
        "connection-types": [
            {
                "connection-type": "intra42",
                "hook-name": "42 Intra API",
                "hook-class-name": "intra42.hooks.intra42.Intra42Hook",
                "ui-field-behaviour": _FORM,
                "conn-fields": _FIELDS,
            }
        ],
    }
