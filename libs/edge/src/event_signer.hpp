// Between the gate of rows and whoever takes batches: makes the events of a batch.
//
//     EventSigner signing(profile, key, seen, metrics, log, sink, workers);
//     BatchQueue queue(signing);  // in a thread of its own; see batch_writer.hpp
//     RowGate rows(..., queue);
//
// A signature takes as long as fifty frames: a minute in which many names are released must not
// hold up the counting. Where frames are counted by several threads, so are its events signed.
#pragma once

#include "metrics.hpp"
#include "ready_batch.hpp"

namespace tapir::edge {

class EventSigner final : public BatchSink {
public:
    // All must outlive it.
    EventSigner(privacy::Profile profile, const jose::PrivateJwk& key, Seen& seen,
                EdgeMetrics& metrics, const Log& log, BatchSink& behind, std::size_t threads = 1)
        : profile_(profile),
          key_(key),
          seen_(seen),
          metrics_(metrics),
          log_(log),
          behind_(behind),
          threads_(threads) {}

    void take(ReadyBatch&& batch) override;

private:
    const privacy::Profile profile_;
    const jose::PrivateJwk& key_;
    Seen& seen_;
    EdgeMetrics& metrics_;
    const Log& log_;
    BatchSink& behind_;
    const std::size_t threads_;
};

}  // namespace tapir::edge
