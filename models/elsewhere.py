"""Starts runner.py and runner.mjs, which run models in other runtimes and in processes of their
own."""

import json
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent


def run(python, runtime, jobs, exact=False):
    """The answers of runner.py to jobs. A job is (model, feeds, wanted), each a path."""
    return _ask([python, HERE / "runner.py", runtime, *(["exact"] if exact else [])], jobs)


def run_node(folder, package, jobs):
    """The answers of runner.mjs."""
    return _ask(["node", HERE / "runner.mjs", folder, package], jobs)


def _ask(command, jobs):
    """Starts one process for all jobs. If it dies, starts one for each job."""
    done = subprocess.run(command, input=json.dumps([list(map(str, job)) for job in jobs]),
                          capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    if len(jobs) == 1:
        return [f"crash, status {done.returncode}: {done.stderr[-500:]}"]
    return [answer for job in jobs for answer in _ask(command, [job])]
