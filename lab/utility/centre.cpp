#include "centre.hpp"

#include <array>

#include <fmt/format.h>

#include "tapir/base/assert.hpp"

namespace tapir::privacy {
namespace {

struct Changed {
    Rule histogram;
    Rule new_qname;
};

std::optional<Changed>& changed() {
    static std::optional<Changed> rules;
    return rules;
}

}  // namespace

const Rule& rule_for(Product product, Profile profile) {
    const std::optional<Changed>& rules = changed();
    if (rules && profile == Profile::standard && product == Product::histogram) {
        return rules->histogram;
    }
    if (rules && profile == Profile::standard && product == Product::new_qname) {
        return rules->new_qname;
    }
    return rule_as_shipped(product, profile);
}

}  // namespace tapir::privacy

namespace tapir::utility {

using privacy::Product;
using privacy::Profile;

privacy::Threshold Gate::in_force() const {
    return threshold.value_or(privacy::rule_as_shipped(Product::new_qname, profile).threshold);
}

Gate gate_with_centre(unsigned centre) {
    privacy::Threshold threshold =
        privacy::rule_as_shipped(Product::new_qname, Profile::standard).threshold;
    threshold.centre = centre;
    threshold.min = centre / 2;
    threshold.max = centre * 2;
    return {.name = fmt::format("{}", centre), .threshold = threshold};
}

std::vector<Gate> gates() {
    return {gate_with_centre(10),
            {.name = "20 (`standard`)"},
            gate_with_centre(40),
            {.name = "40 (`strict`)", .profile = Profile::strict}};
}

GateInForce::GateInForce(const Gate& gate) {
    TAPIR_ASSERT(!privacy::changed());
    if (gate.threshold) {
        TAPIR_ASSERT(gate.profile == Profile::standard);
        privacy::Rule histogram = privacy::rule_as_shipped(Product::histogram, gate.profile);
        privacy::Rule new_qname = privacy::rule_as_shipped(Product::new_qname, gate.profile);
        histogram.threshold = *gate.threshold;
        new_qname.threshold = *gate.threshold;
        privacy::changed() = privacy::Changed{.histogram = histogram, .new_qname = new_qname};
    }
}

GateInForce::~GateInForce() {
    privacy::changed().reset();
}

}  // namespace tapir::utility
