"""Time contestants side by side: alternating, because a shared machine is now fast and now slow."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from tqdm import tqdm


def alternate(contestants: dict[str, Callable[[], object]], repeats: int) -> pd.DataFrame:
    """Call each contestant in turn, `repeats` times; return seconds, a column for each.

    One round before that is not counted: it fills the disk's cache.
    """
    rounds = []
    for number in tqdm(range(repeats + 1), desc="rounds", disable=None):
        seconds = {}
        for name, call in contestants.items():
            began = time.perf_counter()
            call()
            seconds[name] = time.perf_counter() - began
        if number:
            rounds.append(seconds)
    return pd.DataFrame(rounds)


def report(seconds: pd.DataFrame, count: int, unit: str, found: dict, path: Path) -> str:
    """Write medians, rates and ratios to the JSON file `path` and return them as a Markdown table.

    `found` is written beside them: what the first contestant made of the `count` units of data.

    The ratio is the median over rounds of another's seconds to the first contestant's, in the same
    round: above 1 the first is faster.
    """
    first = seconds.columns[0]
    rows = {
        name: {
            "seconds": round(statistics.median(seconds[name]), 3),
            f"{unit}_per_second": round(count / statistics.median(seconds[name]), 1),
            "ratio": round(statistics.median(seconds[name] / seconds[first]), 2),
        }
        for name in seconds
    }
    machine = {"cores": os.cpu_count(), "processor": platform.machine()}
    results = {"rounds": len(seconds), "machine": machine, "results": rows, "found": found}
    path.write_text(json.dumps(results, indent=2) + "\n")
    lines = [f"| | {unit} per second | times the first's seconds |", "| --- | --- | --- |"]
    for name, row in rows.items():
        lines.append(f"| {name} | {row[f'{unit}_per_second']:.0f} | {row['ratio']:.2f} |")
    return "\n".join(lines)
