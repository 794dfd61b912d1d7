// libcurl behind HttpClient. A call borrows one of a few pairs (multi, easy): the multi keeps the
// connections, and can wait for a Cancel as well as for its sockets.
#include "tapir/net/http_client.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <mutex>

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tapir/base/guarded.hpp"

namespace tapir::net {

Cancel::Cancel() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Cancel::~Cancel() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

void Cancel::request() {
    is_requested_.store(true);
    if (fd_ >= 0) {
        ::eventfd_write(fd_, 1);
    }
}

namespace {

using SteadyClock = std::chrono::steady_clock;
using Ms = std::chrono::milliseconds;

struct Easy {
    Easy() : multi(curl_multi_init()), easy(curl_easy_init()) {
        TAPIR_ASSERT(multi != nullptr && easy != nullptr);
    }
    Easy(const Easy&) = delete;
    Easy& operator=(const Easy&) = delete;
    ~Easy() {
        curl_easy_cleanup(easy);
        curl_multi_cleanup(multi);
    }
    CURLM* multi;
    CURL* easy;
};

// curl's list of header fields.
class FieldList {
public:
    FieldList() = default;
    FieldList(const FieldList&) = delete;
    FieldList& operator=(const FieldList&) = delete;
    ~FieldList() { curl_slist_free_all(list_); }
    void add(const std::string& line) {
        list_ = curl_slist_append(list_, line.c_str());
        TAPIR_ASSERT(list_ != nullptr);
    }
    curl_slist* get() const { return list_; }

private:
    curl_slist* list_ = nullptr;
};

// What comes back, and who is told. One for each call.
struct Answer {
    HttpResponse response;
    std::size_t size_max = 0;
    bool is_too_large = false;
    bool has_header = false;
    SteadyClock::time_point last_octet = SteadyClock::now();
    // A stream's octets go here instead of to response.body. False ends the call.
    std::function<bool(ByteView)> on_octets;
    std::function<bool()> on_header;
    std::array<char, CURL_ERROR_SIZE> why{};
};

std::size_t take_header(char* data, std::size_t /*one*/, std::size_t size, void* user) {
    auto& answer = *static_cast<Answer*>(user);
    answer.last_octet = SteadyClock::now();
    std::string_view line(data, size);
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) {
        line.remove_suffix(1);
    }
    if (line.starts_with("HTTP/")) {
        // Of several headers (100 Continue comes before) the last one counts.
        answer.response = {};
        return size;
    }
    if (line.empty()) {
        answer.has_header = true;
        return !answer.on_header || answer.on_header() ? size : 0;
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) {
        return 0;
    }
    auto value = line.substr(colon + 1);
    const auto start = value.find_first_not_of(" \t");
    const auto end = value.find_last_not_of(" \t");
    value = start == std::string_view::npos ? "" : value.substr(start, end - start + 1);
    answer.response.fields.add(line.substr(0, colon), value);
    return size;
}

std::size_t take_body(char* data, std::size_t /*one*/, std::size_t size, void* user) {
    auto& answer = *static_cast<Answer*>(user);
    answer.last_octet = SteadyClock::now();
    const ByteView octets = as_bytes(std::string_view(data, size));
    if (answer.on_octets) {
        return answer.on_octets(octets) ? size : 0;
    }
    if (size > answer.size_max - answer.response.body.size()) {
        answer.is_too_large = true;
        return 0;
    }
    append(answer.response.body, octets);
    return size;
}

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return c > ' ' && c < 0x7F &&
               std::string_view("()<>@,;:\\\"/[]?={}").find(c) == std::string_view::npos;
    });
}

Code code_of(CURLcode result, std::string_view why) {
    switch (result) {
        case CURLE_URL_MALFORMAT:
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CACERT_BADFILE:
            return Code::invalid;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_ISSUER_ERROR:
            return Code::denied;
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
            // In TLS 1.3 the server refuses our certificate after the handshake: as an alert.
            return why.find(" alert ") != std::string_view::npos ? Code::denied : Code::unavailable;
        case CURLE_OUT_OF_MEMORY:
            return Code::exhausted;
        default:
            return Code::unavailable;
    }
}

Result<void> check_file(const std::string& path) {
    if (path.empty() || std::ifstream(path).good()) {
        return {};
    }
    return fail(Code::not_found, path + ": cannot be read");
}

void apply_fields(const HttpCall& call, FieldList& list) {
    for (const auto& [name, value] : call.fields) {
        list.add(value.empty() ? fmt::format("{};", name) : fmt::format("{}: {}", name, value));
    }
    // What curl would add by itself.
    for (const char* name : {"Accept", "Content-Type", "Expect"}) {
        if (!call.fields.find(name)) {
            list.add(std::string(name) + ":");
        }
    }
}

Result<void> check_call(const HttpCall& call) {
    if (!is_token(call.method)) {
        return fail(Code::invalid, fmt::format("no method: '{}'", call.method));
    }
    for (const auto& [name, value] : call.fields) {
        if (!is_token(name) ||
            value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
            return fail(Code::invalid, fmt::format("no header field: '{}'", name));
        }
    }
    return {};
}

class CurlClient final : public HttpClient {
public:
    explicit CurlClient(HttpClientSettings settings) : settings_(std::move(settings)) {}

    Result<HttpResponse> send(const HttpCall& call, const Cancel* cancel) override {
        Answer answer;
        answer.size_max = call.answer_size_max;
        const auto until = SteadyClock::now() + call.time_max;
        TRY(perform(call, cancel, answer, [&] { return until; }));
        return std::move(answer.response);
    }

    Result<void> subscribe(const HttpCall& call, const Cancel& cancel,
                           const std::function<void(const SseEvent&)>& on_event,
                           const StreamLimits& limits,
                           const std::function<void()>& on_open) override {
        Answer answer;
        SseParser parser(limits.sse);
        Result<void> parsed;
        long status = 0;
        const auto start = SteadyClock::now();
        const auto easy = borrow();
        answer.on_header = [&] {
            curl_easy_getinfo(easy->easy, CURLINFO_RESPONSE_CODE, &status);
            if (status >= 100 && status < 200) {
                answer.has_header = false;
                return true;
            }
            const auto type = answer.response.fields.find("Content-Type").value_or("");
            if (status == 200 && !type.starts_with("text/event-stream")) {
                parsed = fail(Code::unavailable, call.url + ": no event stream");
            }
            if (status == 200 && parsed && on_open) {
                on_open();
            }
            return status == 200 && parsed.has_value();
        };
        answer.on_octets = [&](ByteView octets) {
            parsed = parser.feed(octets, on_event);
            return parsed.has_value() && !cancel.requested();
        };
        auto done = perform_with(*easy, call, &cancel, answer, [&] {
            return answer.has_header ? answer.last_octet + limits.silence_max
                                     : start + call.time_max;
        });
        give_back(easy);
        if (!parsed) {
            return parsed;
        }
        if (status != 0 && status != 200) {
            return fail(status == 401 || status == 403
                            ? Code::denied
                            : (status == 404 ? Code::not_found : Code::unavailable),
                        fmt::format("{}: status {}", call.url, status));
        }
        return done;
    }

private:
    std::shared_ptr<Easy> borrow() {
        auto easy = idle_.with([](auto& idle) {
            std::shared_ptr<Easy> out;
            if (!idle.empty()) {
                out = std::move(idle.back());
                idle.pop_back();
            }
            return out;
        });
        return easy ? easy : std::make_shared<Easy>();
    }
    void give_back(std::shared_ptr<Easy> easy) {
        constexpr std::size_t idle_max = 4;
        curl_easy_reset(easy->easy);
        idle_.with([&](auto& idle) {
            if (idle.size() < idle_max) {
                idle.push_back(std::move(easy));
            }
        });
    }

    Result<void> perform(const HttpCall& call, const Cancel* cancel, Answer& answer,
                         const std::function<SteadyClock::time_point()>& until) {
        auto easy = borrow();
        auto done = perform_with(*easy, call, cancel, answer, until);
        give_back(std::move(easy));
        return done;
    }

    Result<void> perform_with(Easy& easy, const HttpCall& call, const Cancel* cancel,
                              Answer& answer,
                              const std::function<SteadyClock::time_point()>& until) {
        TRY(check_call(call));
        FieldList fields;
        apply_fields(call, fields);
        set_options(easy.easy, call, answer, fields);
        curl_multi_add_handle(easy.multi, easy.easy);
        auto done = drive(easy, call, cancel, answer, until);
        curl_multi_remove_handle(easy.multi, easy.easy);
        long status = 0;
        curl_easy_getinfo(easy.easy, CURLINFO_RESPONSE_CODE, &status);
        answer.response.status = static_cast<int>(status);
        return done;
    }

    void set_options(CURL* easy, const HttpCall& call, Answer& answer, const FieldList& fields) {
        const auto set = [easy](CURLoption option, auto value) {
            TAPIR_ASSERT(curl_easy_setopt(easy, option, value) == CURLE_OK);
        };
        const auto or_null = [](const std::string& text) {
            return text.empty() ? static_cast<const char*>(nullptr) : text.c_str();
        };
        set(CURLOPT_URL, call.url.c_str());
        set(CURLOPT_PROTOCOLS_STR, "http,https");
        set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
        set(CURLOPT_NOSIGNAL, 1L);
        set(CURLOPT_PROXY, "");
        set(CURLOPT_FOLLOWLOCATION, 0L);
        set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings_.connect_time_max.count()));
        set(CURLOPT_MAXAGE_CONN, 30L);
        set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_3));
        set(CURLOPT_SSL_VERIFYPEER, 1L);
        set(CURLOPT_SSL_VERIFYHOST, 2L);
        set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
        set(CURLOPT_CAINFO, or_null(settings_.ca_file));
        set(CURLOPT_SSLCERT, or_null(settings_.certificate_file));
        set(CURLOPT_SSLKEY, or_null(settings_.key_file));
        set(CURLOPT_HTTPHEADER, fields.get());
        set(CURLOPT_ERRORBUFFER, answer.why.data());
        set(CURLOPT_HEADERFUNCTION, &take_header);
        set(CURLOPT_HEADERDATA, static_cast<void*>(&answer));
        set(CURLOPT_WRITEFUNCTION, &take_body);
        set(CURLOPT_WRITEDATA, static_cast<void*>(&answer));
        if (!call.body.empty() || call.method == "POST" || call.method == "PUT") {
            set(CURLOPT_POST, 1L);
            set(CURLOPT_POSTFIELDS, reinterpret_cast<const char*>(call.body.data()));
            set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
        }
        if (call.method == "HEAD") {
            set(CURLOPT_NOBODY, 1L);
        } else {
            set(CURLOPT_CUSTOMREQUEST, call.method.c_str());
        }
    }

    static Result<void> drive(Easy& easy, const HttpCall& call, const Cancel* cancel,
                              Answer& answer,
                              const std::function<SteadyClock::time_point()>& until) {
        for (;;) {
            int running = 0;
            curl_multi_perform(easy.multi, &running);
            if (running == 0) {
                break;
            }
            if (cancel != nullptr && cancel->requested()) {
                return fail(Code::unavailable, call.url + ": cancelled");
            }
            const auto left = std::chrono::ceil<Ms>(until() - SteadyClock::now()).count();
            if (left <= 0) {
                return fail(Code::unavailable, call.url + ": no answer in time");
            }
            curl_waitfd extra{cancel != nullptr ? cancel->fd() : -1, CURL_WAIT_POLLIN, 0};
            curl_multi_poll(easy.multi, &extra, extra.fd >= 0 ? 1 : 0,
                            static_cast<int>(std::min<std::int64_t>(left, 1000)), nullptr);
        }
        CURLcode result = CURLE_FAILED_INIT;
        int more = 0;
        while (const CURLMsg* message = curl_multi_info_read(easy.multi, &more)) {
            if (message->msg == CURLMSG_DONE) {
                result = message->data.result;
            }
        }
        if (answer.is_too_large) {
            return fail(Code::exhausted, fmt::format("{}: an answer of more than {} octets",
                                                     call.url, answer.size_max));
        }
        if (result != CURLE_OK) {
            const std::string_view why =
                answer.why[0] != '\0' ? answer.why.data() : curl_easy_strerror(result);
            return fail(code_of(result, why), fmt::format("{}: {}", call.url, why));
        }
        return {};
    }

    HttpClientSettings settings_;
    Guarded<std::vector<std::shared_ptr<Easy>>> idle_;
};

}  // namespace

Result<std::unique_ptr<HttpClient>> open_http_client(HttpClientSettings settings) {
    static std::once_flag initialised;
    std::call_once(initialised, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    // OpenSSL writes to sockets without MSG_NOSIGNAL.
    std::signal(SIGPIPE, SIG_IGN);
    TRY(check_file(settings.ca_file));
    TRY(check_file(settings.certificate_file));
    TRY(check_file(settings.key_file));
    return std::unique_ptr<HttpClient>(std::make_unique<CurlClient>(std::move(settings)));
}

}  // namespace tapir::net
