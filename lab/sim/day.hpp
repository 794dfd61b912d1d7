// A day of traffic in accelerated time: does memory stay flat, does everything drain?
//
//     const bool is_good = run_day({.clients = 400, .frames_per_second = 40});
//
// Prints a line for each hour. Within the first six hours core, edge and policy are killed and the
// core loses power; from hour 9 to 11 the core cannot be reached; at hour 19 is midnight. It is
// good if
//  - in the end outbox, network and the core's queues are empty, and no invariant is broken;
//  - the ledger verifies;
//  - memory is flat: what the process holds, without the simulated disks and the witness's notes,
//    is in the last six hours at most 1.05 times what it was in the hours 6 to 12, both as resident
//    pages and as octets in use on the heap.
#pragma once

namespace tapir::sim {

struct DayOptions {
    unsigned clients = 400;
    unsigned frames_per_second = 40;  // when it is busiest
    unsigned hours = 24;
};

bool run_day(const DayOptions& options);

}  // namespace tapir::sim
