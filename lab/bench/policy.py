"""The policy's engine: lists, observation changes, transfers.

    scripts/bench policy [--quick]

CPU time of the engine's thread, medians; every observation is a signed message that is verified. The engine is measured alone, with a
store that keeps nothing, and with RocksDB on the disk under build/bench as in the daemon, where every zone is synced.
"""

import argparse

import programs
import tools

UNITS = [
    ("load_cpu_s", "list: read and indexed, s", 3),
    ("evaluate_cpu_s", "first zone: evaluated and published, s", 3),
    ("stored_evaluate_cpu_s", "- and stored, s", 3),
    ("stored_store_threads_cpu_s", "the store's own threads, over all of it, s", 3),
    ("octets_per_name_in_use", "memory a listed name, free pages given back, octets", 0),
    ("octets_per_name", "- with what the allocator keeps", 0),
    ("store_mib", "memory of the store, MiB", 1),
    ("store_disk_mib", "the store on the disk, in the end, MiB", 1),
    ("stored_peak_mib", "memory of the process at most, MiB", 0),
    ("single_changes_per_cpu_s", "changes/s of CPU, a message and a zone each", 0),
    ("stored_single_changes_per_cpu_s", "- and stored", 0),
    ("stored_single_changes_per_s", "- on the wall: the disk too", 0),
    ("batched_changes_per_cpu_s", "changes/s of CPU, 200 in a message", 0),
    ("stored_batched_changes_per_cpu_s", "- and stored", 0),
    ("axfr_records_per_s", "AXFR records/s", 0),
    ("axfr_messages_per_s", "AXFR messages/s", 0),
    ("ixfr_records_per_s", "IXFR records/s", 0),
    ("ixfr_messages_per_s", "IXFR messages/s", 0),
]

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 000 entries, one run: to see that it works")
    options = parser.parse_args()
    tools.WORK.mkdir(parents=True, exist_ok=True)
    programs.show("policy", programs.policy(*(([10_000], 1) if options.quick else ([100_000, 1_000_000], 3))), UNITS)
