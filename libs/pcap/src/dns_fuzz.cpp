// Any file is read to its end with bounded memory, every frame is a dnstap message, and a capture
// cut short gives the first of the same frames. The mutator changes whole packets, with the lengths
// of their records right.
#include <vector>

#include "tapir/base/assert.hpp"
#include "tapir/base/fuzzing.hpp"
#include "tapir/dnstap/message.hpp"
#include "tapir/pcap/dns_reader.hpp"
#include "testing_packets.hpp"

namespace {

using namespace tapir;

Bytes change_capture(ByteView file, fuzzing::Dice& dice) {
    pcap::CaptureReader reader(file);
    std::vector<Bytes> packets;
    std::uint32_t link = pcap::testing::link_ethernet;
    while (const auto packet = reader.next()) {
        packets.push_back(to_bytes(packet->octets));
        link = packet->link;
    }
    fuzzing::mutate_list(packets, dice, [&](Bytes& packet) {
        if (dice.one_in(2) || packet.empty()) {
            fuzzing::mutate_blindly(packet);
        } else {
            packet.at(dice.below(packet.size())) = static_cast<std::byte>(dice.next());
        }
    });
    if (dice.one_in(16)) {
        constexpr std::uint32_t links[] = {0, 1, 12, 101, 108, 113, 228, 276};
        link = links[dice.below(std::size(links))];
    }
    return pcap::testing::capture(link, packets);
}

std::vector<Bytes> frames_of(ByteView file) {
    pcap::DnsReader reader(file);
    std::vector<Bytes> frames;
    while (const auto frame = reader.next()) {
        TAPIR_ASSERT(dnstap::Message::parse(*frame).has_value());
        frames.push_back(to_bytes(*frame));
    }
    TAPIR_ASSERT(reader.state() != pcap::CaptureState::reading);
    TAPIR_ASSERT((reader.state() == pcap::CaptureState::failed) == reader.error().has_value());
    return frames;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned int seed) {
    return fuzzing::mutate_by(data, size, size_max, seed, change_capture);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView file = std::as_bytes(std::span(data, size));
    const auto whole = frames_of(file);
    const auto part = frames_of(file.first(size - size / 3));
    TAPIR_ASSERT(part.size() <= whole.size());
    TAPIR_ASSERT(std::equal(part.begin(), part.end(), whole.begin()));
    return 0;
}
