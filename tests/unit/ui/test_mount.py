from __future__ import annotations

import subprocess
import sys

from tests.dags.environment import REPOSITORY

PROGRAM = """
import sys
import intra42_plugin
loaded = {name for name in sys.modules if name.startswith("intra42.ui")}
print(sorted(loaded), "fastapi" in sys.modules)
assert intra42_plugin.Intra42Plugin.fastapi_apps
"""


def test_tasks_do_not_pay_for_the_page() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        cwd=REPOSITORY / "plugins",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().splitlines()[-1] == "['intra42.ui', 'intra42.ui.mount'] False"
