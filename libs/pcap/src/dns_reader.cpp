#include "tapir/pcap/dns_reader.hpp"

#include <algorithm>
#include <iterator>

#include "layers.hpp"
#include "tapir/base/assert.hpp"

namespace tapir::pcap {
namespace {

constexpr std::size_t length_size = 2;
constexpr std::size_t dns_header_size = 12;
constexpr std::byte qr_bit{0x80};

// How far `b` is after `a`, in numbers that wrap.
std::int32_t distance(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(b - a);
}

bool has_qr(ByteView message) {
    return message.size() > 2 && (message[2] & qr_bit) == qr_bit;
}

}  // namespace

std::string_view to_string(PacketFate fate) {
    switch (fate) {
        case PacketFate::udp:
            return "udp";
        case PacketFate::tcp:
            return "tcp";
        case PacketFate::other:
            return "other";
        case PacketFate::unknown_link:
            return "unknown_link";
        case PacketFate::malformed:
            return "malformed";
        case PacketFate::fragment:
            return "fragment";
        case PacketFate::cut:
            return "cut";
    }
    return "unknown";
}

std::optional<ByteView> DnsReader::next() {
    for (;;) {
        if (current_ != nullptr) {
            if (const auto frame = next_of(*current_)) {
                return frame;
            }
            account(*current_);
            if (current_ends_ || streams_size_ > streams_size_max) {
                const auto stream = by_key_.at(current_->key);
                if (!stream->is_lost && stream->size > 0) {
                    ++streams_lost_;
                }
                forget(stream);
            }
            current_ = nullptr;
        }
        const auto packet = capture_.next();
        if (!packet) {
            for (const Stream& stream : streams_) {
                streams_lost_ += !stream.is_lost && stream.size > 0 ? 1U : 0U;
            }
            streams_.clear();
            by_key_.clear();
            return std::nullopt;
        }
        if (const auto frame = take(*packet)) {
            return frame;
        }
    }
}

std::optional<ByteView> DnsReader::take(const Packet& packet) {
    const auto count = [this](PacketFate fate) { ++packets_.at(static_cast<std::size_t>(fate)); };
    const auto read = segment_of(packet);
    if (const auto* fate = std::get_if<PacketFate>(&read)) {
        count(*fate);
        return std::nullopt;
    }
    const Segment& segment = std::get<Segment>(read);
    if (segment.source_port != dns_port && segment.destination_port != dns_port) {
        count(PacketFate::other);
        return std::nullopt;
    }
    if (segment.is_cut) {
        count(PacketFate::cut);
        // Of a stream these octets are missing, which it will notice.
        return std::nullopt;
    }
    Key key{.source = {},
            .destination = {},
            .address_size = static_cast<std::uint8_t>(segment.source.size()),
            .source_port = segment.source_port,
            .destination_port = segment.destination_port};
    std::ranges::copy(segment.source, key.source.begin());
    std::ranges::copy(segment.destination, key.destination.begin());
    if (!segment.is_tcp) {
        const auto frame = frame_of(key, false, segment.payload, packet.time);
        count(frame ? PacketFate::udp : PacketFate::other);
        return frame;
    }
    count(PacketFate::tcp);
    Stream* stream = stream_of(key, segment.is_syn, segment.sequence);
    if (stream == nullptr || (segment.payload.empty() && !segment.is_fin && !segment.is_reset)) {
        return std::nullopt;
    }
    stream->time = packet.time;
    add(*stream, segment.sequence + (segment.is_syn ? 1U : 0U), segment.payload);
    current_ = stream;
    current_ends_ = segment.is_fin || segment.is_reset;
    return std::nullopt;
}

// The stream that a segment belongs to, made if need be and put in front.
DnsReader::Stream* DnsReader::stream_of(const Key& key, bool is_start, std::uint32_t sequence) {
    const auto found = by_key_.find(key);
    if (found != by_key_.end() && !is_start) {
        streams_.splice(streams_.begin(), streams_, found->second);
        return &streams_.front();
    }
    if (found != by_key_.end()) {
        if (found->second->next == sequence + 1) {
            return &*found->second;  // the same start once more
        }
        forget(found->second);
    }
    if (streams_.size() == stream_count_max) {
        const auto last = std::prev(streams_.end());
        streams_lost_ += last->size > 0 && !last->is_lost ? 1U : 0U;
        forget(last);
    }
    streams_.emplace_front();
    Stream& stream = streams_.front();
    stream.key = key;
    stream.next = is_start ? sequence + 1 : sequence;
    stream.is_sure = is_start;
    by_key_.emplace(key, streams_.begin());
    return &stream;
}

void DnsReader::add(Stream& stream, std::uint32_t sequence, ByteView payload) {
    if (stream.is_lost || payload.empty()) {
        return;
    }
    const std::int32_t ahead = distance(stream.next, sequence);
    if (ahead > 0) {
        if (stream.early.size() == stream_early_count_max) {
            lose(stream);
        } else {
            stream.early.emplace(sequence, to_bytes(payload));
        }
        return;
    }
    append_in_order(stream, payload.subspan(std::min<std::size_t>(
                                payload.size(), static_cast<std::size_t>(-std::int64_t{ahead}))));
    // What came too early may have its turn now. The numbers wrap, so all are looked at.
    for (auto it = stream.early.begin(); it != stream.early.end();) {
        const std::int32_t gap = distance(stream.next, it->first);
        if (gap > 0) {
            ++it;
            continue;
        }
        const ByteView octets(it->second);
        append_in_order(stream, octets.subspan(std::min<std::size_t>(
                                    octets.size(), static_cast<std::size_t>(-std::int64_t{gap}))));
        stream.early.erase(it);
        it = stream.early.begin();
    }
}

void DnsReader::append_in_order(Stream& stream, ByteView payload) {
    append(stream.octets, payload);
    stream.next += static_cast<std::uint32_t>(payload.size());
}

// The next whole message of a stream, as a frame.
std::optional<ByteView> DnsReader::next_of(Stream& stream) {
    while (!stream.is_lost) {
        const ByteView rest = ByteView(stream.octets).subspan(stream.begin);
        if (rest.size() < length_size) {
            break;
        }
        const std::size_t size =
            std::to_integer<std::size_t>(rest[0]) << 8U | std::to_integer<std::size_t>(rest[1]);
        if (!stream.is_sure && (size < dns_header_size ||
                                (rest.size() > 4 && has_qr(rest.subspan(length_size)) !=
                                                        (stream.key.source_port == dns_port)))) {
            lose(stream);
            break;
        }
        if (rest.size() - length_size < size) {
            break;
        }
        const auto frame = frame_of(stream.key, true, rest.subspan(length_size, size), stream.time);
        stream.begin += length_size + size;
        stream.is_sure = true;
        if (frame) {
            return frame;
        }
    }
    stream.octets.erase(stream.octets.begin(),
                        stream.octets.begin() + static_cast<std::ptrdiff_t>(stream.begin));
    stream.begin = 0;
    return std::nullopt;
}

void DnsReader::lose(Stream& stream) {
    ++streams_lost_;
    stream.is_lost = true;
    stream.octets = Bytes();
    stream.begin = 0;
    stream.early.clear();
}

void DnsReader::account(Stream& stream) {
    std::size_t size = stream.octets.size();
    for (const auto& [sequence, octets] : stream.early) {
        size += octets.size();
    }
    streams_size_ = streams_size_ - stream.size + size;
    stream.size = size;
}

void DnsReader::forget(Streams::iterator stream) {
    streams_size_ -= stream->size;
    by_key_.erase(stream->key);
    streams_.erase(stream);
}

std::optional<ByteView> DnsReader::frame_of(const Key& key, bool is_tcp, ByteView message,
                                            const std::optional<UtcTime>& time) {
    // Too short to say it: the port does.
    const bool is_response = message.size() > 2 ? has_qr(message) : key.source_port == dns_port;
    if ((is_response ? key.source_port : key.destination_port) != dns_port) {
        return std::nullopt;
    }
    const ByteView source = ByteView(key.source).first(key.address_size);
    const ByteView destination = ByteView(key.destination).first(key.address_size);
    dnstap::MessageParts parts;
    parts.protocol = is_tcp ? dnstap::SocketProtocol::tcp : dnstap::SocketProtocol::udp;
    if (is_response) {
        parts.type = dnstap::MessageType::client_response;
        parts.query_address = destination;
        parts.response_address = source;
        parts.query_port = key.destination_port;
        parts.response_port = key.source_port;
        parts.response_time = time;
        parts.response_message = message;
    } else {
        parts.type = dnstap::MessageType::client_query;
        parts.query_address = source;
        parts.response_address = destination;
        parts.query_port = key.source_port;
        parts.response_port = key.destination_port;
        parts.query_time = time;
        parts.query_message = message;
    }
    return frames_.make(parts);
}

}  // namespace tapir::pcap
