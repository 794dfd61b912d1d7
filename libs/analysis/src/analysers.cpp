#include <algorithm>
#include <utility>

#include "tapir/analysis/analyser.hpp"
#include "tapir/products/observation.hpp"

namespace tapir::analysis {

namespace {

constexpr std::string_view seen = "analysis_seen";  // name → when it was first seen, ns

Result<std::vector<dns::Name>> parse_suffixes(const std::vector<std::string>& texts) {
    if (texts.size() > suffixes_max) {
        return fail(Code::invalid, "too many suffixes");
    }
    std::vector<dns::Name> suffixes;
    for (const auto& text : texts) {
        // With a leading dot or without: the same suffix.
        const std::string_view bare = std::string_view(text).substr(text.starts_with('.') ? 1 : 0);
        dns::Name suffix = TRY(dns::Name::from_text(bare));
        if (suffix.view().is_root()) {
            return fail(Code::invalid, "the root is no suffix: every name ends with it");
        }
        suffixes.push_back(std::move(suffix));
    }
    return suffixes;
}

bool is_under_any(dns::NameView name, const std::vector<dns::Name>& suffixes) {
    return std::ranges::any_of(suffixes,
                               [&](const dns::Name& suffix) { return name.is_under(suffix); });
}

class GloballyNew final : public Analyser {
public:
    explicit GloballyNew(std::vector<dns::Name> ignored) : ignored_(std::move(ignored)) {}
    std::string_view label() const override { return "globally_new"; }
    Result<std::uint32_t> look(const Sighting& sighting, const store::Reader& store,
                               store::Batch& batch) override {
        if (sighting.name.is_root() || is_under_any(sighting.name, ignored_)) {
            return 0U;
        }
        const ByteView key = as_bytes(sighting.text);
        if (TRY(store.get(seen, key))) {
            return 0U;
        }
        Bytes first;
        append_u64(first, static_cast<std::uint64_t>(sighting.now.ns()));
        batch.put(seen, key, first);
        return products::flag::globally_new;
    }

private:
    std::vector<dns::Name> ignored_;
};

class Looptest final : public Analyser {
public:
    explicit Looptest(std::vector<dns::Name> suffixes) : suffixes_(std::move(suffixes)) {}
    std::string_view label() const override { return "looptest"; }
    Result<std::uint32_t> look(const Sighting& sighting, const store::Reader& /*store*/,
                               store::Batch& /*batch*/) override {
        return is_under_any(sighting.name, suffixes_) ? products::flag::looptest : 0U;
    }

private:
    std::vector<dns::Name> suffixes_;
};

}  // namespace

Result<std::unique_ptr<Analyser>> globally_new(const std::vector<std::string>& ignored_suffixes) {
    auto ignored = TRY(parse_suffixes(ignored_suffixes));
    return std::unique_ptr<Analyser>(std::make_unique<GloballyNew>(std::move(ignored)));
}

Result<std::unique_ptr<Analyser>> looptest(std::string_view suffix) {
    std::vector<dns::Name> suffixes;
    if (!suffix.empty()) {
        suffixes = TRY(parse_suffixes({std::string(suffix)}));
    }
    return std::unique_ptr<Analyser>(std::make_unique<Looptest>(std::move(suffixes)));
}

}  // namespace tapir::analysis
