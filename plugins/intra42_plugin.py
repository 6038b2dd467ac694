"""What Airflow loads at its start, once per process.

The scheduler and the workers fork a process for each task. What they have loaded before is there in
every task, which saves it half a second of processor time.
"""

from airflow.plugins_manager import AirflowPlugin

import intra42.dag_factory  # noqa: F401  # and with it all that a task needs
from intra42 import run_notes


class Intra42Plugin(AirflowPlugin):
    """Makes the package known to Airflow."""

    name = "intra42"
    listeners = [run_notes]  # noqa: RUF012  # as Airflow declares it
