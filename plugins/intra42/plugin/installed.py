"""The plugin of an installed package, for the entry point `airflow.plugins`.

Airflow loads `intra42_plugin.py` of the plugins folder first. Where the folders were copied and the
package is installed too, the copy's plugin is the one: a second of its name would be shown as an
import error.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from airflow.sdk import conf

_MODULE = "intra42_plugin"


def __getattr__(name: str) -> Any:
    """Return the class of the plugin as `plugin`; None, which Airflow skips, beside a copy."""
    if name != "plugin":
        raise AttributeError(name)
    folder = Path(conf.get_mandatory_value("core", "plugins_folder"))
    if (folder / f"{_MODULE}.py").is_file():
        return None
    return import_module(_MODULE).Intra42Plugin
