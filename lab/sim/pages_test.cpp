// What is packed is seen: also where a copy stands for it.
#include "pages.hpp"

#include <gtest/gtest.h>

#include "tapir/columns/table_writer.hpp"

namespace tapir::sim {
namespace {

using columns::Presence;
using columns::TableWriter;
using columns::Type;

Bytes file_of(const std::vector<std::string>& names) {
    TableWriter table("histogramData", {{"label0", Type::string, Presence::optional},
                                        {"label1", Type::string, Presence::optional},
                                        {"count", Type::uint64}});
    for (const std::string& name : names) {
        table.string(0, "org");
        table.string(1, name);
        table.uint64(2, name.size());
    }
    return table.finish({.pad_to = 4096, .metadata = {}}).value();
}

// Both begin alike, so the second is written as a copy and a rest.
TEST(Pages, ShowWhatIsWrittenAsACopy) {
    const Bytes file = file_of({"qzaaaabbbbcccc", "qzaaaabbbbdddd"});
    ASSERT_EQ(as_text(file).find("qzaaaabbbbdddd"), std::string_view::npos);
    const auto plain = unpacked(file);
    ASSERT_TRUE(plain.has_value());
    EXPECT_NE(plain->find("qzaaaabbbbcccc"), std::string::npos);
    EXPECT_NE(plain->find("qzaaaabbbbdddd"), std::string::npos);
    EXPECT_NE(plain->find("histogramData"), std::string::npos);
}

TEST(Pages, AreAllThere) {
    std::vector<std::string> names;
    for (int i = 0; i < 100'000; ++i) {
        names.push_back("name" + std::to_string(i));
    }
    const auto plain = unpacked(file_of(names));
    ASSERT_TRUE(plain.has_value());
    std::size_t at = 0;  // they are there in their order
    for (const std::string& name : names) {
        at = plain->find(name, at);
        ASSERT_NE(at, std::string::npos) << name;
    }
}

TEST(Pages, MayBeNone) {
    EXPECT_TRUE(unpacked(file_of({})).has_value());
}

TEST(Pages, RefuseWhatTheyCannotWhollyRead) {
    const Bytes good = file_of({"a", "b"});
    EXPECT_FALSE(unpacked({}).has_value());
    EXPECT_FALSE(unpacked(as_bytes("PAR1PAR1")).has_value());
    EXPECT_FALSE(unpacked(ByteView(good).first(good.size() - 1)).has_value());
    Bytes longer = good;
    longer.insert(longer.begin() + 4, std::byte{7});  // something in front of the first page
    EXPECT_FALSE(unpacked(longer).has_value());
}

}  // namespace
}  // namespace tapir::sim
