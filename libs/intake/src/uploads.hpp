// Aggregates on their way in: POST /api/v1/aggregate/TYPE.
#pragma once

#include "answer.hpp"
#include "journal.hpp"
#include "request.hpp"
#include "tapir/intake/intake.hpp"

namespace tapir::intake {

class Uploads {
public:
    Uploads(const IntakeSettings& settings, const IntakeParts& parts, Journal& journal);

    net::HttpResponse post(const net::HttpRequest& request);
    net::HttpResponse get(const net::HttpRequest& request);

private:
    Result<Journal::Added, Refusal> take(const net::HttpRequest& request);
    Result<Journal::Added, Refusal> keep(Aggregate aggregate, std::string_view interval,
                                         ByteView payload);

    const IntakeSettings& settings_;
    const IntakeParts& parts_;
    Journal& journal_;
    Fates fates_;
};

}  // namespace tapir::intake
