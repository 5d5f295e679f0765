#!/usr/bin/env python3
"""Instructions per event among 10, 1 000 and 100 000 waiting requests: tests/bench/results/waiting.md.

    tests/bench/waiting/run.py PROGRAM

PROGRAM is the built benchmark `waiting`; `make bench-waiting` builds it and calls this. Needs valgrind. Instructions are
the same whatever else the machine does.
"""

import datetime
import pathlib
import re
import subprocess
import sys
import tempfile

SIZES = [10, 1_000, 100_000 - 300]
TIMES = 100
EVENTS = {
    "event_arrives": "a request arrives, its token is read, it waits for an unknown key",
    "event_leaves": "its client goes away",
    "event_piece": "a piece of a body",
    "event_answered": "an answer: the key is unknown, the request that waited is denied",
    "event_ticks": "the timer rings; an unknown key may be asked for",
    "event_expires": "a piece of work about a key that was never asked for: the fetch ends, or a request is denied",
}
# At 10 waiting requests each key was asked for at once, so nothing expires.
COMPARED_FROM = {"event_expires": 1_000}


def calls(event):
    return 2 * TIMES if event in ("event_arrives", "event_expires") else TIMES


def count(program, waiting):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        run = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--toggle-collect=*event_*", program, str(waiting)]
        subprocess.run(run, check=True, capture_output=True)
        annotated = subprocess.run(
            ["callgrind_annotate", "--inclusive=yes", "--threshold=100", str(out)], check=True, capture_output=True, text=True
        ).stdout
    counts = {}
    for event in EVENTS:
        found = re.search(rf"^\s*([\d,]+) \([^)]*\)\s+\S*:?waiting::{event}\b", annotated, re.MULTILINE)
        if not found:
            sys.exit(f"{event} is not in what callgrind wrote:\n{annotated[:3000]}")
        counts[event] = int(found.group(1).replace(",", "")) / calls(event)
    return counts


def main():
    (program,) = sys.argv[1:]
    counted = {waiting: count(program, waiting) for waiting in SIZES}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    dirty = subprocess.run(["git", "status", "--porcelain", "src"], check=True, capture_output=True, text=True).stdout.strip()
    rows, worst = [], 0.0
    for event, text in EVENTS.items():
        figures = [counted[waiting][event] for waiting in SIZES]
        compared = [figure for waiting, figure in zip(SIZES, figures) if waiting >= COMPARED_FROM.get(event, 0)]
        ratio = max(compared) / min(compared)
        worst = max(worst, ratio)
        shown = [
            f"{figure:,.0f}".replace(",", " ") if waiting >= COMPARED_FROM.get(event, 0) else "–"
            for waiting, figure in zip(SIZES, figures)
        ]
        rows.append(f"| {text} | {' | '.join(shown)} | {ratio:.2f} |")
    heads = " | ".join(f"{waiting:,}".replace(",", " ") for waiting in SIZES)
    text = f"""# What one event costs among waiting requests

Instructions of the core per event, natively, by callgrind: the mean of {TIMES} events or more. Each waiting request waits for a key of its own. `make
bench-waiting` measures this again. {datetime.date.today()}, commit {commit}{" with changes" if dirty else ""}.

| event | {heads} | largest / smallest |
| --- | --- | --- | --- | --- |
{chr(10).join(rows)}

The limit is 1.5. What ends for many requests at once, such as a key that all of them wait for, is handed out one request at a time
(`Requests::poll`); the module stops after 4 ms in one callback and goes on in the next tick, a millisecond later.
"""
    pathlib.Path("tests/bench/results/waiting.md").write_text(text)
    print(text)
    if worst > 1.5:
        sys.exit(f"an event costs {worst:.2f} times as much among more waiting requests; the limit is 1.5")


if __name__ == "__main__":
    main()
