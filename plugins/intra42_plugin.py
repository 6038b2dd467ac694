"""What Airflow loads at its start, once per process.

The scheduler and the workers fork a process for each task. What they have loaded before is there in
every task, which saves it half a second of processor time. The page is only described here: its web
application loads with the first request, in the api-server.
"""

from airflow.plugins_manager import AirflowPlugin

import intra42.dag_factory  # noqa: F401  # and with it all that a task needs
from intra42.plugin import run_notes
from intra42.ui.mount import EXTERNAL_VIEWS, FASTAPI_APPS


class Intra42Plugin(AirflowPlugin):
    """Makes the package and its page known to Airflow."""

    name = "intra42"
    listeners = [run_notes]  # noqa: RUF012  # as Airflow declares it
    fastapi_apps = FASTAPI_APPS
    external_views = EXTERNAL_VIEWS
