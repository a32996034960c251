#!/usr/bin/env python3
"""Attacks the program, and counts how often it does something wrong.

    attack.py PROGRAM SHIM FOLDER [--seconds N] [--seed N] [--only NAME]...

Each attack gets a share of the time. It ends earlier if it has no more cases. Whatever the
program is given, it must end with the right output, or with a clear error and the old files
untouched. FOLDER is on a disk; inputs that led to something wrong are kept there."""

import argparse
import pathlib
import sys
import time

import hostile
import semantic
from faults import Faults

MODELS = pathlib.Path(__file__).resolve().parents[2] / "models"
MOST = 5  # that are printed of one attack


def attacks(program, shim, base, seed):
    """{name: (share of the time, cases)}"""
    faults = Faults(program, shim, base, seed)
    models = sorted(MODELS.glob("fashion*.onnx"))
    return faults, {
        "allocations": (3, faults.allocations()),
        "calls": (3, faults.calls()),
        "interruptions": (1, faults.interruptions()),
        "kills": (2, faults.kills()),
        "kills in memory": (1, faults.kills_in_memory()),
        "stops": (1, faults.stops()),
        "truncations": (1, faults.truncations()),
        "disks": (1, faults.disks()),
        "full": (1, faults.full()),
        "limits": (1, faults.limits()),
        "threads": (1, faults.threads()),
        "races": (1, faults.races()),
        "hostile": (3, hostile.attack(program, base, seed)),
        "semantic": (3, semantic.attack(program, base, seed, models)),
    }


def work(name, cases, seconds):
    """Runs cases until the time is up. Returns how many went wrong."""
    begin, done, bad = time.monotonic(), 0, 0
    complete = True
    for what, wrong in cases:
        done += what is not None
        if wrong:
            bad += 1
            if bad <= MOST:
                print(f"    {what}: {wrong}", flush=True)
        if time.monotonic() - begin > seconds:
            complete = False
            break
    cases.close()
    end = "all" if complete else "time is up"
    print(f"{name:16} {done:8} cases {bad:5} bad   {end}", flush=True)
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("shim", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append")
    asked = parser.parse_args()
    base = asked.folder.absolute()
    base.mkdir(parents=True, exist_ok=True)
    faults, table = attacks(asked.program.absolute(), asked.shim.absolute(), base, asked.seed)
    if asked.only:
        table = {name: table[name] for name in asked.only}
    shares = sum(share for share, _ in table.values())
    try:
        bad = sum(work(name, cases, asked.seconds * share / shares)
                  for name, (share, cases) in table.items())
    finally:
        faults.close()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
