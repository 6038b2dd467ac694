"""Run the steps of one of the two DAGs in this process, without Airflow.

`python -m intra42.run intra42_nightly --conf '{"full_refresh": true}'`. The connections and the
variable come from `AIRFLOW_CONN_INTRA42_API`, `AIRFLOW_CONN_INTRA42_DB` and
`AIRFLOW_VAR_INTRA42_CONFIG`, as Airflow reads them. Exits 0 only where the run would be green.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
from tenacity import (
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
    wait_fixed,
)

from intra42.attempt.work import Identity
from intra42.errors import FINAL, ConfigError, Intra42Error, QuotaSpent
from intra42.run.connections import from_environment, open_database, settings_of
from intra42.run.opening import open_run, unreachable
from intra42.run.plan import (
    DAGS,
    LOADER,
    Does,
    Step,
    refuse_unknown_keys,
    refuse_unknown_tables,
)
from intra42.run.runner import Outcome, red, run
from intra42.run.session import ApiSettings, attempt
from intra42.run.steps import take
from intra42.settings import LOADER_PARAMS, PARAMS, Request, parse_request
from intra42.warehouse.sessions import Connect, said

log = logging.getLogger("intra42.run")

VARIABLE = "intra42_config"
# As the DAGs have it: one more try of what may pass, after a while.
_TRIES, _PAUSE_S = 2, 20.0  # tries, and seconds between them
_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of a DAG in this process."""

    dag_id: str
    run_id: str
    request: Request
    api: ApiSettings
    connect: Connect
    pause_s: float = _PAUSE_S

    def all_steps(self) -> Outcome:
        """Take all steps; say what became of each that is red."""
        outcome = run(DAGS[self.dag_id], self.request, self.perform, (Exception,))
        for name in red(outcome.states):
            log.error("%s failed", name)
        return outcome

    def perform(self, step: Step, number: int, chunks: Sequence[int]) -> Any:
        """Take a step; wait for the quota where it is spent, try once more what may pass."""
        tries = Retrying(
            retry=retry_if_exception_type(Exception) & retry_if_not_exception_type(FINAL),
            stop=stop_after_attempt(_TRIES),
            wait=wait_fixed(self.pause_s),
            before_sleep=lambda _state: log.info(
                "%s: trying again in %.0f s", step.name, self.pause_s
            ),
            reraise=True,
        )

        def once() -> Any:
            who = Identity(
                dag_id=self.dag_id,
                run_id=self.run_id,
                task_id=step.name,
                map_index=number,
                try_number=tries.statistics["attempt_number"],
            )
            try:
                return self._patiently(step, who, chunks)
            except Exception as error:
                sentence = _sentence(error)
                log.error("%s", sentence or error, exc_info=None if sentence else error)  # noqa: TRY400
                raise

        return tries(once)

    def _patiently(self, step: Step, who: Identity, chunks: Sequence[int]) -> Any:
        while True:
            try:
                return self._attempt(step, who, chunks)
            except QuotaSpent as spent:
                log.warning("%s; waiting %.0f s", spent, spent.wait_s)
                time.sleep(max(1.0, spent.wait_s))

    def _attempt(self, step: Step, who: Identity, chunks: Sequence[int]) -> Any:
        if step.does is Does.OPEN:
            return open_run(self.connect, self.api, who, self.request)
        with attempt(
            self.connect, self.api, who, self.request, loader=LOADER, resource=step.resource
        ) as work:
            return take(step, work, chunks)


def _sentence(error: Exception) -> str | None:
    """Return the sentence that says all of an error, None where only its origin may."""
    told = isinstance(error, psycopg.Error) and said(error)
    if told or isinstance(error, Intra42Error):
        return str(error)
    if isinstance(error, psycopg.OperationalError):
        return unreachable(error, "intra42_db")
    return None


def order(dag_id: str, conf: str | None, environment: Mapping[str, str]) -> Request:
    """Return what the variable and the run's configuration ask for.

    Raises:
        ConfigError: one of them is no JSON, or names what there is not.
    """
    text = environment.get(f"AIRFLOW_VAR_{VARIABLE.upper()}", "").strip()
    values = _decoded(text, f"AIRFLOW_VAR_{VARIABLE.upper()}") if text else None
    params = _decoded(conf, "--conf") if conf else {}
    if not isinstance(params, dict):
        message = "--conf must be a JSON object, such as the params of the trigger form"
        raise ConfigError(message)
    refuse_unknown_keys(params, PARAMS if dag_id == LOADER else PARAMS - LOADER_PARAMS)
    request = parse_request(values, params, variable=VARIABLE)
    refuse_unknown_tables(request)
    return request


def _decoded(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        message = f"{what} is not valid JSON: {error}"
        raise ConfigError(message) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a DAG; return 0 if it would be green."""
    parser = argparse.ArgumentParser(prog="python -m intra42.run", description=__doc__)
    parser.add_argument("dag_id", choices=sorted(DAGS))
    parser.add_argument("--conf", help="the params of the run, as a JSON object")
    parser.add_argument("--at", help="what the run is called by, an ISO time; else now")
    parser.add_argument(
        "--retry-delay", type=float, default=_PAUSE_S, help="seconds before a second try"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format=_FORMAT, stream=sys.stdout)
    try:
        at = datetime.fromisoformat(options.at) if options.at else datetime.now(UTC)
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        mine = Run(
            dag_id=options.dag_id,
            run_id=f"manual__{at.astimezone(UTC).isoformat()}",
            request=order(options.dag_id, options.conf, os.environ),
            api=settings_of(from_environment("intra42_api")),
            connect=partial(open_database, from_environment("intra42_db")),
            pause_s=options.retry_delay,
        )
    except (ConfigError, ValueError) as error:
        log.error("%s", error)  # noqa: TRY400  # the sentence says it all
        return 1
    outcome = mine.all_steps()
    done = sum(state == "success" for state in outcome.states.values())
    log.info(
        "%s %s: %d of %d steps done",
        *(mine.run_id, "is green" if outcome.is_green else "is red", done, len(outcome.states)),
    )
    return 0 if outcome.is_green else 1


if __name__ == "__main__":
    sys.exit(main())
