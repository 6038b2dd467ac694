import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import __main__ as program
from bench import machine
from bench.context import QUICK, Sizes
from bench.outcome import Line, Outcome, spread, text
from bench.registry import SECTIONS
from bench.sections import load, pace
from dev.simulator import Simulator
from dev.simulator.messages import Request


def test_a_line_says_what_was_wanted_and_whether_it_was_met() -> None:
    assert str(Line("share", "0.95", "at least 0.9", met=True)).endswith("at least 0.9        met")
    assert str(Line("share", "0.85", "at least 0.9", met=False)).endswith("MISSED")
    assert str(Line("share", "0.85")).endswith("0.85")


def test_a_spread_is_told_only_where_there_are_repeats() -> None:
    assert text([3.0], " s", 1) == "3.0 s"
    assert text([3.0, 1.0, 2.0], " s", 1) == "2.0 s (1.0 to 3.0)"
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0, "runs": 3}


def test_section_names_are_unique() -> None:
    names = [name for name, _section in SECTIONS]
    assert len(names) == len(set(names))


def test_quick_measures_less_of_everything() -> None:
    whole = Sizes()
    assert QUICK.cursus_users < whole.cursus_users
    assert max(QUICK.memory_rows) < max(whole.memory_rows)
    assert QUICK.pace_s < whole.pace_s


def entries(latency_s: float, per_second: float, seconds: float, refused: int = 0) -> list[dict]:
    count = int(per_second * seconds)
    found = [
        {"real_time": 100 + number / per_second + latency_s, "status": 200}
        for number in range(count)
    ]
    return found + [{"real_time": 120.5, "status": 429}] * refused


def measure(latency_s: float, per_second: float, **more: int) -> dict:
    context = SimpleNamespace(sizes=SimpleNamespace(pace_settle_s=15.0))
    case = SimpleNamespace(latency_s=latency_s)
    return pace._measure(context, case, 2, entries(latency_s, per_second, 80, **more))


def test_a_full_pace_is_all_of_the_permitted_rate_at_any_latency() -> None:
    for latency_s in (0.05, 3.0):
        found = measure(latency_s, 2)
        assert found["seconds"] == 60
        assert found["share_of_permitted_rate"] == 1.0


def test_half_the_pace_is_half_the_rate_and_a_refusal_is_no_progress() -> None:
    found = measure(1.5, 1, refused=3)
    assert found["share_of_permitted_rate"] == 0.5
    assert found["answered_429"] == 3


def turn(ours_s: float, floor_s: float) -> dict:
    walls = {
        "ours": ours_s,
        "floor": floor_s,
        "one_commit_floor": floor_s / 2,
        "bare_floor": floor_s / 4,
    }
    costs = {
        f"{kind}_{part}": {"wall_s": wall_s, "cpu_s": wall_s}
        for kind, wall_s in walls.items()
        for part in ("first", "again")
    }
    return {**costs, "rewritten": 0, "stored": 10}


def test_the_share_of_the_floor_adds_up_both_tables_round_by_round() -> None:
    found = {
        "cursus_users": {"rows": 10, "rounds": [turn(2, 1), turn(2, 2)], "other_batches": {}},
        "projects_users": {"rows": 10, "rounds": [turn(2, 1), turn(2, 2)], "other_batches": {}},
    }
    outcome = Outcome()
    load._together(outcome, found)
    assert outcome.facts["both"]["share_of_floor"] == spread([0.5, 1.0])
    assert outcome.facts["both"]["share_of_one_commit_floor"] == spread([0.25, 0.5])
    assert outcome.lines[-1].met is True


def test_the_simulators_limits_can_be_set_while_it_runs() -> None:
    sim = Simulator("empty")
    body = json.dumps({"per_second": 8, "per_hour": 4800}).encode()
    answer = sim.handle(Request("POST", "/_sim/limits", [], {}, body))
    assert answer.status == 200
    assert (sim.limits.per_second, sim.limits.per_hour) == (8, 4800)


ROOT = Path(__file__).resolve().parents[3]
PEAK = "from bench.peak import peak_mb; print(peak_mb())"


def test_a_child_of_a_large_process_is_as_large_as_it_is_itself() -> None:
    large = f"""
import subprocess, sys
held = b"x" * (300 << 20)
print(subprocess.run([sys.executable, "-c", {PEAK!r}], capture_output=True, check=True).stdout)
"""
    printed = subprocess.run(
        [sys.executable, "-c", large], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    assert float(printed.strip().strip("b'\\n")) < 100


def test_no_peak_is_taken_from_a_figure_that_a_child_inherits() -> None:
    inherits = [
        path.name
        for path in (ROOT / "bench").rglob("*.py")
        if "ru_maxrss" in path.read_text() and path.name != "peak.py"
    ]
    assert inherits == []


def moment(cpu_percent: float) -> dict:
    return {"at": "2026-11-30T00:00:00+00:00", "load_1m": 9.0, "cpu_percent": cpu_percent}


@pytest.mark.parametrize(("before", "after", "marked"), [(1, 2, 0), (80, 2, 1), (2, 80, 1)])
def test_what_was_measured_under_load_is_set_apart(before, after, marked) -> None:
    load = machine.beside(moment(before), moment(after))
    lines = program.marked(load, [Line("a", "1")])
    assert load["under_load"] is bool(marked)
    assert len(lines) == 1 + marked
    assert str(lines[0]).startswith("UNDER LOAD" if marked else "a")


def test_the_load_tells_of_processes_and_processors() -> None:
    found = machine.moment()
    assert found["processes"] > 0
    assert found["running"] >= 0
    assert 0 <= found["cpu_percent"] <= 100


def test_each_section_has_a_process_of_its_own(tmp_path: Path) -> None:
    output = tmp_path / "latest.json"
    # The program that is started in place of the benchmark writes what its sections would.
    stand_in = f"""
import json, os, pathlib, sys
output = pathlib.Path({str(output)!r})
kept = json.loads(output.read_text()) if output.exists() else {{}}
kept[sys.argv[-1]] = {{"machine": {{}}, "table": [], "process": os.getpid()}}
output.write_text(json.dumps(kept))
sys.exit(sys.argv[-1] == "memory")
"""
    lines = program.run(["load", "memory", "core"], [sys.executable, "-c", stand_in], output)
    kept = json.loads(output.read_text())
    assert kept["load"]["process"] != kept["core"]["process"]
    for name in ("load", "core"):
        assert set(kept[name]["load"]) == {"before", "after", "under_load"}
    assert [line.met for line in lines if "failed" in line.what] == [False]


def kept_results() -> dict:
    return json.loads((ROOT / "bench" / "results" / "latest.json").read_text())


def test_each_result_says_from_which_commit_and_when() -> None:
    for name, result in kept_results().items():
        assert result["machine"]["commit"], name
        assert "load" in result or result["moment"]["at"], name


def test_no_kept_peak_of_memory_is_that_of_another_world() -> None:
    # A task that reads a million rows takes 91 MB.
    core = kept_results()["core"]
    assert core["rss_after_imports_mb"] < 150
    assert core["rss_after_imports_mb"] <= core["rss_peak_mb"] < 250
