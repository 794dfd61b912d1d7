"""The policy's engine: lists, observation changes, transfers.

    scripts/bench policy [--quick]

One core, CPU time; the store is in memory, every observation is a signed message that is verified.
"""

import argparse

import programs
import tools

UNITS = [
    ("load_cpu_s", "list: read and indexed, s", 3),
    ("evaluate_cpu_s", "first zone: evaluated and published, s", 3),
    ("octets_per_name", "memory a listed name, allocator included", 0),
    ("single_changes_per_s", "changes/s, a message and a zone each", 0),
    ("batched_changes_per_s", "changes/s, 200 in a message", 0),
    ("axfr_records_per_s", "AXFR records/s", 0),
    ("axfr_messages_per_s", "AXFR messages/s", 0),
    ("ixfr_records_per_s", "IXFR records/s", 0),
    ("ixfr_messages_per_s", "IXFR messages/s", 0),
]

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 000 entries: to see that it works")
    options = parser.parse_args()
    tools.WORK.mkdir(parents=True, exist_ok=True)
    programs.show("policy", programs.policy([10_000] if options.quick else [100_000, 1_000_000]), UNITS)
