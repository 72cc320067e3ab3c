"""One library in its own process: reads tasks as JSON lines, answers with seconds.

{"prepare": task}   -> {"ok": true, "first": seconds until the first call was done} or {"ok": false, "why": text}
{"measure": budget} -> {"seconds": median of one call}
{"cold": budget}    -> {"seconds": median of one call with other data in the caches}
{"version": null}   -> {"version": text}
"""

from __future__ import annotations

import json
import os
import sys
from time import perf_counter
from typing import Any

from .peers import make
from .tasks import Task
from .timing import calls_per_repetition, median_cold_seconds, median_seconds


def main() -> None:
    """Serve until the input ends."""
    name, threads = sys.argv[1], int(sys.argv[2])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])  # some libraries do not obey any variable
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    peer = make(name, threads)
    call: Any = None
    calls = 1
    for line in sys.stdin:
        request = json.loads(line)
        reply: dict[str, Any]
        try:
            if "version" in request:
                reply = {"version": peer.version()}
            elif "prepare" in request:
                task = Task.from_json(request["prepare"])
                if task.network is not None:
                    task.weights(), task.data()  # made once before time counts
                begun = perf_counter()
                call = peer.prepare(task)
                if call is None:
                    reply = {"ok": False, "why": "has no such task"}
                else:
                    call()
                    reply = {"ok": True, "first": perf_counter() - begun}
                    calls = calls_per_repetition(call)
            elif "cold" in request:
                reply = {"seconds": median_cold_seconds(call, request["cold"])}
            else:
                reply = {"seconds": median_seconds(call, calls, request["measure"])}
        except Exception as error:  # the library is left out of this task, and the reader is told why
            reply = {"ok": False, "why": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
