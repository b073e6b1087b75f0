"""Kill whatever the service is made of under jobs, again and again, and demand that each job ends as it must.

python tests/drill/run.py [--cast one|many] [--jobs 300] [--seed 1] [--folder DIR]

`many` is a cluster (`many`): each kind of fault there is, under 300 jobs; `one` is one server with its private
database (`one`), killed under 200. Without --cast, both.

No job is lost or stuck, none says Success with a file missing, empty or wrong, each one's end is told of by an event,
none of the processes outlives those it belongs to, and nothing but complete files lies in the buckets.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from drill import many, one

CASTS = {"many": 300, "one": 200}
_LAST_LINES = 40


def main() -> None:
    """The full drill."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cast", choices=CASTS, default=None)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--folder", type=Path, default=None, help="an empty folder that is kept")
    parser.add_argument("--only", default="", help="faults of `many` with this in their names")
    options = parser.parse_args()
    for cast in [options.cast] if options.cast else CASTS:
        seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 31)
        with tempfile.TemporaryDirectory(prefix="stillframe-drill-") as temporary:
            folder = (options.folder or Path(temporary)) / cast
            folder.mkdir(parents=True)
            _run(cast, folder, options.jobs or CASTS[cast], seed, options.only)


def _run(cast: str, folder: Path, jobs: int, seed: int, only: str) -> None:
    began = time.monotonic()
    print(f"{cast}: seed {seed}", flush=True)
    try:
        if cast == "one":
            one.tell(one.drill(folder, jobs=jobs, kills=20, postgres_kills=5, seed=seed))
        else:
            faults = [fault for fault in many.ALL if only in fault.name]
            rows = many.drill(folder, jobs=jobs, seed=seed, faults=faults)
            print(f"\nseed {seed}, {time.monotonic() - began:.0f} s in all\n\n{many.HEAD}")
            print("\n".join(map(many.line, rows)))
    except BaseException:
        for log in sorted(folder.glob("log*")):
            # each answer of the API is a line, too
            lines = [each for each in log.read_text(errors="replace").splitlines() if "code=OK" not in each]
            print(f"--- {log.name}", *lines[-_LAST_LINES:], sep="\n", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
