"""dlt's rest_api source into PostgreSQL, merged on `id`; run by the interpreter of .venv-bench.

`--flat` keeps nested lists in their row (max_table_nesting=0), else they become child tables.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("resource")
    parser.add_argument("--database", required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--params", required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--flat", action="store_true")
    options = parser.parse_args()
    imported = time.process_time()
    # By name: the folder is not on its path, and dlt is installed for the benchmark alone.
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    peak: Any = importlib.import_module("bench.peak")
    dlt: Any = importlib.import_module("dlt")
    rest_api: Any = importlib.import_module("dlt.sources.rest_api")
    began, used = time.monotonic(), time.process_time()
    source = rest_api.rest_api_source(
        {
            "client": {
                "base_url": f"{options.url}/v2/",
                "auth": {"type": "bearer", "token": options.token},
                "paginator": {
                    "type": "page_number",
                    "base_page": 1,
                    "page_param": "page[number]",
                    "total_path": None,
                    "stop_after_empty_page": True,
                },
            },
            "resource_defaults": {"primary_key": "id", "write_disposition": "merge"},
            "resources": [
                {
                    "name": options.resource,
                    "endpoint": {
                        "path": options.resource,
                        "params": {**json.loads(options.params), "page[size]": 100},
                    },
                }
            ],
        }
    )
    if options.flat:
        source.max_table_nesting = 0
    pipeline = dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=options.state,
        destination=dlt.destinations.postgres(_with_password(options.database)),
        dataset_name="dlt",
    )
    pipeline.run(source).raise_on_failed_jobs()
    counts = pipeline.last_trace.last_normalize_info.row_counts
    facts = {
        "wall_s": time.monotonic() - began,
        "cpu_s": time.process_time() - used,
        "imports_cpu_s": used - imported,
        "rss_peak_mb": peak.peak_mb(),
        "rows": counts[options.resource],
        "tables": sum(not name.startswith("_dlt") for name in counts),
        "version": dlt.__version__,
    }
    print(json.dumps(facts), flush=True)


def _with_password(url: str) -> str:
    """Return `url` with the password of its `passfile`: dlt insists on one in the URL."""
    parts = urlsplit(url)
    (file,) = parse_qs(parts.query)["passfile"]
    password = Path(file).read_text().rsplit(":", 1)[-1].strip()
    return parts._replace(netloc=parts.netloc.replace("@", f":{password}@"), query="").geturl()


if __name__ == "__main__":
    main()
