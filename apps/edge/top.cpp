#include "tapir/edge/top.hpp"

#include <csignal>
#include <cstdio>
#include <string>

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "commands.hpp"
#include "tapir/world/host.hpp"

namespace tapir::edge_app {
namespace {

constexpr std::size_t status_size_max = 4U << 20U;  // octets
constexpr int pause_ms = 1000;

constexpr const char* enter_screen = "\x1b[?1049h\x1b[?25l";
constexpr const char* leave_screen = "\x1b[?25h\x1b[?1049l";

// The terminal without line buffering and echo, on a screen of its own; as before when it ends.
class Terminal {
public:
    Terminal() {
        ::tcgetattr(STDIN_FILENO, &before_);
        termios raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        fmt::print("{}", enter_screen);
    }
    ~Terminal() {
        fmt::print("{}", leave_screen);
        (void)std::fflush(stdout);
        ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    static edge::ScreenSize size() {
        winsize now{};
        if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &now) != 0 || now.ws_col == 0 || now.ws_row == 0) {
            return {};
        }
        return {.columns = now.ws_col, .rows = now.ws_row};
    }

    // Waits a moment, or until the terminal changes its size; true: a `q`, or nobody is there.
    static bool is_left() {
        pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
        if (::poll(&input, 1, pause_ms) <= 0) {
            return false;
        }
        char key = 'q';
        return ::read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q';
    }

private:
    termios before_{};
};

volatile std::sig_atomic_t must_end = 0;

void handle(int signal, bool ends) {
    struct sigaction action{};
    action.sa_handler = ends ? [](int) { must_end = 1; } : [](int) {};
    ::sigaction(signal, &action, nullptr);  // without SA_RESTART: poll() ends
}

}  // namespace

Result<int> top(const TopWords& words) {
    const auto status = [&words] { return world::read_socket(words.socket, status_size_max); };
    if (words.json) {
        fmt::print("{}", TRY(status()));
        return 0;
    }
    if (words.once || ::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) {
        fmt::print("{}\n", TRY(edge::top_screen(TRY(status()), Terminal::size())));
        return 0;
    }
    TRY(status());  // an edge that is not there is said before the screen is taken
    handle(SIGWINCH, false);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        handle(signal, true);
    }
    const Terminal terminal;
    do {
        const auto text = status();
        const auto screen = text ? edge::top_screen(*text, Terminal::size())
                                 : Result<std::string>(fail(text.error()));
        // Home, and each line to its end, so that nothing flickers.
        std::string out = "\x1b[H";
        for (const char c : screen ? *screen : screen.error().what()) {
            out += c == '\n' ? std::string("\x1b[K\r\n") : std::string(1, c);
        }
        fmt::print("{}\x1b[K\x1b[J", out);
        (void)std::fflush(stdout);
    } while (must_end == 0 && !Terminal::is_left());
    return 0;
}

}  // namespace tapir::edge_app
