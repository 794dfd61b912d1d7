"""The core's services: events verified and kept, what follows from them, histograms admitted to the lake.

    scripts/bench core

RocksDB and files on the disk under build/bench, every batch synced as in the daemon; uploads are opened in child processes.
"""

import argparse

import programs
import tools

UNITS = [
    ("events_kept_per_cpu_s", "events/s of CPU: verified, kept", 0),
    ("events_kept_per_s", "events/s on the wall: the disk too", 0),
    ("analysis_and_feeds_us_per_event", "analysis and feed, us of CPU an event", 1),
    ("uploads_taken_per_s", "histograms/s: verified, kept, answered", 1),
    ("uploads_sealed_per_s", "histograms/s: admitted to the lake", 1),
    ("rows_sealed_per_s", "rows/s: admitted to the lake", 0),
]

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    tools.WORK.mkdir(parents=True, exist_ok=True)
    programs.show("core", [programs.core()], UNITS)
