// Sends a Frame Streams file to a unix socket as a resolver would, in large writes:
//
//     bench_send FILE SOCKET [SIZE-OF-WRITE]
//
// A process of its own, so that its time is not the receiver's.
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>

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

bool send_file(ByteView file, int socket, std::size_t write_size) {
    dnstap::FrameStreamWriter writer(dnstap::FrameStreamWriter::Form::socket);
    if (!send_all(socket, writer.take_output(), write_size) ||
        !hear(socket, writer, [&] { return writer.is_accepting_frames(); })) {
        return false;
    }
    // START, the frames and STOP lie in the file as they go over the socket; the writer's own
    // START is left out.
    static_cast<void>(writer.take_output());
    writer.stop();
    static_cast<void>(writer.take_output());
    return send_all(socket, file, write_size) &&
           hear(socket, writer, [&] { return writer.is_finished(); });
}

int run(int count, char** words) {
    if (count < 3) {
        std::fputs("usage: bench_send FILE SOCKET [SIZE-OF-WRITE]\n", stderr);
        return 2;
    }
    std::size_t write_size = write_size_usual;
    if (count > 3) {
        const std::string_view word = words[3];
        std::from_chars(word.data(), word.data() + word.size(), write_size);
    }
    world::SystemFiles files;
    const auto file = files.map(words[1]);
    const int socket = file ? connect_to(words[2]) : -1;
    if (socket < 0) {
        std::fprintf(stderr, "bench_send: cannot read %s or connect to %s\n", words[1], words[2]);
        return 1;
    }
    const bool is_sent = send_file((*file)->bytes(), socket, write_size);
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
