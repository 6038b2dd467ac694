"""The benchmarks of the mirror: `make bench`, and `python -m bench.network` beside it."""

import sys
from pathlib import Path

# Where Airflow puts it when it runs the tasks.
sys.path.append(str(Path(__file__).parents[1] / "plugins"))
