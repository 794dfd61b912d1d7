#include "tls_stream.hpp"

#include <utility>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include "tapir/world/system_error.hpp"

namespace tapir::net {
namespace {

constexpr std::size_t record_buffer_size = 64U << 10U;  // octets read from the socket at once

// Why OpenSSL refused, and its queue is empty again.
std::string tls_reason() {
    const unsigned long code = ERR_peek_last_error();
    const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    ERR_clear_error();
    return reason != nullptr ? reason : "unusable";
}

Failure<Error> fail_file(const std::string& path) {
    return fail(Code::invalid, fmt::format("{}: {}", path, tls_reason()));
}

// A key that everybody may read is no secret.
Result<void> check_key_mode(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) {
        return world::fail_errno(path);
    }
    if ((status.st_mode & 07U) != 0) {
        return fail(Code::denied,
                    fmt::format("{}: expected a key that others may not read (mode 0640 or less), "
                                "got mode {:04o}",
                                path, status.st_mode & 07777U));
    }
    return {};
}

Result<std::shared_ptr<SSL_CTX>> load(const TlsServerSettings& settings) {
    TRY(check_key_mode(settings.key_file));
    std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    if (!context) {
        return fail(Code::exhausted, "TLS: " + tls_reason());
    }
    SSL_CTX* raw = context.get();
    SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION);
    // Without tickets each connection shows its certificate, checked against the present CA.
    SSL_CTX_set_num_tickets(raw, 0);
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(raw, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_read_ahead(raw, 1);
    SSL_CTX_set_default_read_buffer_len(raw, record_buffer_size);
    if (SSL_CTX_use_certificate_chain_file(raw, settings.certificate_file.c_str()) != 1) {
        return fail_file(settings.certificate_file);
    }
    if (SSL_CTX_use_PrivateKey_file(raw, settings.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(raw) != 1) {
        return fail_file(settings.key_file);
    }
    if (!settings.client_ca_file.empty()) {
        if (SSL_CTX_load_verify_file(raw, settings.client_ca_file.c_str()) != 1) {
            return fail_file(settings.client_ca_file);
        }
        SSL_CTX_set_verify(raw, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    return context;
}

// The socket as OpenSSL reads and writes it: without SIGPIPE, and never waiting longer than the
// limits say.
struct Wire {
    Receiver receiver;
    bool may_wait = true;  // false: only what is there already
    bool timed_out = false;
};

Wire& wire_of(BIO* bio) {
    return *static_cast<Wire*>(BIO_get_data(bio));
}

int wire_read(BIO* bio, char* into, int size) {
    Wire& wire = wire_of(bio);
    BIO_clear_retry_flags(bio);
    const auto room = std::as_writable_bytes(std::span<char>(into, static_cast<std::size_t>(size)));
    const auto got = wire.may_wait ? wire.receiver.receive(room) : wire.receiver.receive_now(room);
    if (got) {
        return static_cast<int>(*got);
    }
    if (got.error().code() == Code::exhausted) {
        wire.timed_out = wire.may_wait;
        BIO_set_retry_read(bio);
    }
    return -1;
}

int wire_write(BIO* bio, const char* octets, int size) {
    const auto sent =
        send_all(wire_of(bio).receiver.fd(), as_bytes({octets, static_cast<std::size_t>(size)}));
    return sent ? size : -1;
}

long wire_control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// Made once for the process, and kept: BIOs point to it.
const BIO_METHOD* wire_method() {
    static const BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
        TAPIR_ASSERT(made != nullptr);
        BIO_meth_set_read(made, wire_read);
        BIO_meth_set_write(made, wire_write);
        BIO_meth_set_ctrl(made, wire_control);
        return made;
    }();
    return method;
}

class TlsStream final : public ByteStream {
public:
    TlsStream(int fd, const PeerAddress& peer, const std::shared_ptr<SSL_CTX>& context)
        : wire_{.receiver = Receiver(fd)}, peer_(peer), ssl_(SSL_new(context.get()), SSL_free) {
        BIO* bio = BIO_new(wire_method());
        TAPIR_ASSERT(ssl_ && bio != nullptr);
        BIO_set_data(bio, &wire_);
        BIO_set_init(bio, 1);
        SSL_set_bio(ssl_.get(), bio, bio);
    }

    Result<void> handshake(std::chrono::milliseconds time_max) {
        limit_reads({.pause_max = {}, .whole_max = time_max});
        ERR_clear_error();
        const int outcome = SSL_accept(ssl_.get());
        limit_reads({});
        if (outcome == 1) {
            return {};
        }
        if (wire_.timed_out) {
            return fail(Code::exhausted, "TLS handshake: not over in time");
        }
        return fail(Code::denied, "TLS handshake: " + tls_reason());
    }

    // One record at least; then those that are there already, since a record holds 16 KiB only.
    Result<std::size_t> read(std::span<std::byte> into) override {
        std::size_t all = TRY(read_record(into));
        wire_.may_wait = false;
        while (all > 0 && all < into.size() && SSL_has_pending(ssl_.get()) == 1) {
            const auto more = read_record(into.subspan(all));
            if (!more || *more == 0) {
                break;  // what is wrong is seen again by the next read
            }
            all += *more;
        }
        wire_.may_wait = true;
        return all;
    }

    bool has_input() const override {
        return SSL_has_pending(ssl_.get()) == 1 || wire_.receiver.has_input();
    }
    Result<void> write(ByteView bytes) override {
        ERR_clear_error();
        std::size_t sent = 0;
        if (!bytes.empty() && SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent) != 1) {
            return fail(Code::unavailable, "sending: " + tls_reason());
        }
        return {};
    }
    void end_writing() override { SSL_shutdown(ssl_.get()); }
    void shut_down() override { ::shutdown(wire_.receiver.fd(), SHUT_RDWR); }
    void limit_reads(const ReadLimits& limits) override { wire_.receiver.limit(limits); }
    const PeerAddress& peer() const override { return peer_; }

private:
    Result<std::size_t> read_record(std::span<std::byte> into) {
        ERR_clear_error();
        std::size_t got = 0;
        const int outcome = SSL_read_ex(ssl_.get(), into.data(), into.size(), &got);
        if (outcome == 1) {
            return got;
        }
        switch (SSL_get_error(ssl_.get(), outcome)) {
            case SSL_ERROR_ZERO_RETURN:
                return std::size_t{0};
            case SSL_ERROR_WANT_READ:
                return fail(Code::exhausted, "reading: nothing came in time");
            default:
                break;
        }
        return fail(Code::unavailable, "reading: " + tls_reason());
    }

    Wire wire_;
    PeerAddress peer_;
    std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
};

}  // namespace

TlsFiles::Stamp TlsFiles::stamp_of(const TlsServerSettings& settings) {
    Stamp stamp;
    for (const std::string* path :
         {&settings.certificate_file, &settings.key_file, &settings.client_ca_file}) {
        struct stat status{};
        if (!path->empty() && ::stat(path->c_str(), &status) == 0) {
            stamp += fmt::format("{}.{} {} {};", status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                                 status.st_ino, status.st_size);
        } else {
            stamp += "-;";
        }
    }
    return stamp;
}

TlsFiles::TlsFiles(TlsServerSettings settings, std::shared_ptr<SSL_CTX> context, Stamp stamp,
                   std::string server, const Log& log, Counters& counters)
    : settings_(std::move(settings)),
      server_(std::move(server)),
      log_(log),
      reloaded_(counters.counter("tapir_stream_tls_reloads_total",
                                 "Certificate files that were read again, by outcome.",
                                 {{"server", server_}, {"outcome", "taken"}})),
      refused_(counters.counter("tapir_stream_tls_reloads_total",
                                "Certificate files that were read again, by outcome.",
                                {{"server", server_}, {"outcome", "refused"}})),
      context_(std::move(context)),
      stamp_(std::move(stamp)) {}

Result<std::unique_ptr<TlsFiles>> TlsFiles::open(const TlsServerSettings& settings,
                                                 const std::string& server, const Log& log,
                                                 Counters& counters) {
    // The stamp first: a file that changes in between is read once more.
    Stamp stamp = stamp_of(settings);
    auto context = TRY(load(settings));
    return std::make_unique<TlsFiles>(settings, std::move(context), std::move(stamp), server, log,
                                      counters);
}

std::shared_ptr<SSL_CTX> TlsFiles::current() {
    const std::lock_guard lock(mutex_);
    Stamp stamp = stamp_of(settings_);
    if (stamp == stamp_) {
        return context_;
    }
    stamp_ = std::move(stamp);
    auto fresh = load(settings_);
    if (fresh) {
        context_ = std::move(*fresh);
        reloaded_.add();
        log_.info("net", "certificate files read again", {{"server", server_}});
    } else {
        refused_.add();
        log_.error("net", "certificate files have changed and cannot be used: the old ones stay",
                   {{"server", server_}, {"reason", fresh.error().what()}});
    }
    return context_;
}

Result<std::unique_ptr<ByteStream>> accept_tls(int fd, const PeerAddress& peer,
                                               const std::shared_ptr<SSL_CTX>& context,
                                               std::chrono::milliseconds time_max) {
    auto stream = std::make_unique<TlsStream>(fd, peer, context);
    TRY(stream->handshake(time_max));
    return std::unique_ptr<ByteStream>(std::move(stream));
}

}  // namespace tapir::net
