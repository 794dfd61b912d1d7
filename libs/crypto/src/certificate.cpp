#include "tapir/crypto/certificate.hpp"

#include <algorithm>
#include <climits>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "library.hpp"

namespace tapir::crypto {

Result<UtcTime> certificate_end(std::string_view pem) {
    using Certificate = std::unique_ptr<X509, FreeWith<X509_free>>;
    if (pem.size() > INT_MAX) {
        return fail(Code::invalid, "expected a certificate (PEM), got too many octets");
    }
    const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    const Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!certificate) {
        return fail(Code::invalid, "expected a certificate (PEM)");
    }
    const std::unique_ptr<ASN1_TIME, FreeWith<ASN1_TIME_free>> epoch(ASN1_TIME_set(nullptr, 0));
    int days = 0;
    int seconds = 0;
    if (!epoch ||
        ASN1_TIME_diff(&days, &seconds, epoch.get(), X509_get0_notAfter(certificate.get())) != 1) {
        return fail(Code::invalid, "the certificate's end is no time");
    }
    constexpr std::int64_t day_s = 86'400;
    constexpr int days_max = 100'000;  // year 2243: what is valid longer is valid until then
    return UtcTime::from_seconds(std::min(days, days_max) * day_s + seconds);
}

}  // namespace tapir::crypto
