// Sends a Frame Streams file to a unix socket as a resolver would, in large writes:
//
//     bench_send FILE SOCKET [SIZE-OF-WRITE [SECONDS [FRAMES-A-SECOND]]]
//
// A process of its own, so that its time is not the receiver's. With seconds the file's frames go
// again and again, as fast as they are taken or at that rate, until so much time is over: each says
// that it was answered in the second in which it is sent. Prints how many frames there were.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tapir/dnstap/frame_stream.hpp"
#include "tapir/world/files.hpp"

namespace {

using namespace tapir;

constexpr std::size_t write_size_usual = 131'072;

bool send_all(int socket, ByteView octets, std::size_t write_size) {
    while (!octets.empty()) {
        const auto sent = ::write(socket, octets.data(), std::min(write_size, octets.size()));
        if (sent <= 0) {
            return false;
        }
        octets = octets.subspan(static_cast<std::size_t>(sent));
    }
    return true;
}

// Reads until the writer has heard what it waits for.
template <class Condition>
bool hear(int socket, dnstap::FrameStreamWriter& writer, const Condition& condition) {
    Bytes answer(512);
    while (!condition()) {
        const auto got = ::read(socket, answer.data(), answer.size());
        if (got <= 0 || !writer.receive(ByteView(answer).first(static_cast<std::size_t>(got)))) {
            return false;
        }
    }
    return true;
}

int connect_to(const std::string& path) {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket < 0) {
        return -1;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(socket);
        return -1;
    }
    return socket;
}

// Shakes hands, lets `send` send START, the frames and STOP, and waits for the end.
template <class Send>
bool in_a_stream(int socket, const Send& send) {
    dnstap::FrameStreamWriter writer(dnstap::FrameStreamWriter::Form::socket);
    if (!send_all(socket, writer.take_output(), write_size_usual) ||
        !hear(socket, writer, [&] { return writer.is_accepting_frames(); })) {
        return false;
    }
    // All that lies in the file as it goes over the socket; the writer's own START is left out.
    static_cast<void>(writer.take_output());
    writer.stop();
    static_cast<void>(writer.take_output());
    return send() && hear(socket, writer, [&] { return writer.is_finished(); });
}

// A file's frames, with the places of their response times: a number of five octets (protobuf
// varint), as all are from 1978 to 3058.
class Restamped {
public:
    static constexpr std::size_t time_size = 5;

    explicit Restamped(ByteView file) : octets_(to_bytes(file)) {
        dnstap::FstrmReader reader(octets_);
        while (const auto frame = reader.next()) {
            const auto start = static_cast<std::size_t>(frame->data() - octets_.data());
            first_ = frames_ == 0 ? start - frame_head_size : first_;
            last_ = start + frame->size();
            ++frames_;
            if (const auto at = time_in(*frame)) {
                times_.push_back(start + *at);
            }
        }
    }

    // With a rate of 0 as fast as they are taken.
    bool send(int socket, std::size_t write_size, std::chrono::seconds span, std::size_t rate) {
        const auto start = std::chrono::steady_clock::now();
        const auto end = start + span;
        if (frames_ == 0 || !send_all(socket, ByteView(octets_).first(first_), write_size)) {
            return false;
        }
        do {
            std::size_t next_time = 0;
            for (std::size_t at = first_; at < last_;) {
                const std::size_t piece = std::min(write_size, last_ - at);
                if (rate > 0) {
                    const auto due = (sent_ + next_time) * 1'000'000 / rate;
                    std::this_thread::sleep_until(start + std::chrono::microseconds(due));
                }
                const auto now = std::chrono::floor<std::chrono::seconds>(
                    std::chrono::system_clock::now().time_since_epoch());
                for (; next_time < times_.size() && times_[next_time] < at + piece; ++next_time) {
                    stamp(times_[next_time], static_cast<std::uint64_t>(now.count()));
                }
                if (!send_all(socket, ByteView(octets_).subspan(at, piece), write_size)) {
                    return false;
                }
                at += piece;
            }
            sent_ += frames_;
        } while (std::chrono::steady_clock::now() < end);
        return send_all(socket, ByteView(octets_).subspan(last_), write_size);
    }

    std::uint64_t sent() const { return sent_; }

private:
    static constexpr std::size_t frame_head_size = 4;
    static constexpr std::uint64_t message_tag = 14 << 3 | 2;
    static constexpr std::uint64_t response_time_tag = 12 << 3 | 0;

    static std::uint64_t number(ByteReader& in) {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const std::uint8_t octet = in.u8();
            value |= std::uint64_t{octet & 0x7FU} << shift;
            if (octet < 0x80U) {
                break;
            }
        }
        return value;
    }

    static std::optional<std::size_t> time_in(ByteView frame) {
        ByteReader in(frame);
        while (!in.failed() && in.position() < frame.size()) {
            const std::uint64_t tag = number(in);
            if (tag == message_tag) {
                number(in);  // its size; its fields are read as if they stood here
                continue;
            }
            if (tag == response_time_tag) {
                const std::size_t at = in.position();
                number(in);
                return in.position() == at + time_size ? std::optional(at) : std::nullopt;
            }
            switch (tag & 7U) {
                case 0:
                    number(in);
                    break;
                case 1:
                    in.bytes(8);
                    break;
                case 2:
                    in.bytes(static_cast<std::size_t>(number(in)));
                    break;
                default:
                    in.bytes(4);
            }
        }
        return std::nullopt;
    }

    void stamp(std::size_t at, std::uint64_t now) {
        for (std::size_t i = 0; i < time_size; ++i, now >>= 7U) {
            octets_[at + i] =
                static_cast<std::byte>((now & 0x7FU) | (i + 1 < time_size ? 0x80U : 0U));
        }
    }

    Bytes octets_;
    std::size_t first_ = 0;  // where the first frame begins, with its length
    std::size_t last_ = 0;   // where the last one ends
    std::vector<std::size_t> times_;
    std::uint64_t frames_ = 0;
    std::uint64_t sent_ = 0;
};

std::size_t number_of(std::string_view word, std::size_t fallback) {
    std::from_chars(word.data(), word.data() + word.size(), fallback);
    return fallback;
}

int run(int count, char** words) {
    if (count < 3) {
        std::fputs("usage: bench_send FILE SOCKET [SIZE-OF-WRITE [SECONDS [FRAMES-A-SECOND]]]\n",
                   stderr);
        return 2;
    }
    const std::size_t write_size =
        count > 3 ? number_of(words[3], write_size_usual) : write_size_usual;
    world::SystemFiles files;
    const auto file = files.map(words[1]);
    const int socket = file ? connect_to(words[2]) : -1;
    if (socket < 0) {
        std::fprintf(stderr, "bench_send: cannot read %s or connect to %s\n", words[1], words[2]);
        return 1;
    }
    bool is_sent = false;
    if (count > 4) {
        Restamped frames((*file)->bytes());
        const std::chrono::seconds span(number_of(words[4], 1));
        const std::size_t rate = count > 5 ? number_of(words[5], 0) : 0;
        is_sent = in_a_stream(socket, [&] { return frames.send(socket, write_size, span, rate); });
        std::printf("%llu\n", static_cast<unsigned long long>(frames.sent()));
    } else {
        is_sent =
            in_a_stream(socket, [&] { return send_all(socket, (*file)->bytes(), write_size); });
    }
    ::close(socket);
    if (!is_sent) {
        std::fputs("bench_send: the receiver went away\n", stderr);
    }
    return is_sent ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
    return run(count, words);
}
