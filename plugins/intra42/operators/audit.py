"""The last task of the primary group: verify what the mirror has, erase what must go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intra42.operators.base import Intra42Operator, skip_if_idle
from intra42.run.plan import Does
from intra42.settings import Request
from intra42.verify import audit

if TYPE_CHECKING:
    from airflow.sdk import Context


class Intra42AuditOperator(Intra42Operator):
    """Compare in turn how many rows the API has with what the mirror has, and heal differences."""

    def run_step(self, context: Context, request: Request) -> dict[str, int]:
        """Erase accounts that are gone, audit, and purge what is out of scope, if asked for.

        Raises:
            AirflowSkipException: the run reads an explicit window and verifies nothing.
        """
        skip_if_idle(Does.AUDIT, request)
        with self.work(context, request, "audit") as work:
            audit.verify(work)
            return work.outcome()
