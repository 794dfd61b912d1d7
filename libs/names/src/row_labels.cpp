#include "tapir/names/row_labels.hpp"

namespace tapir::names {

RowLabels::RowLabels(const Entry& entry) {
    const dns::NameView name = entry.name;
    const std::size_t labels = name.label_count();
    const std::size_t all = labels + (entry.kind == EntryKind::suffix && !name.is_root() ? 1U : 0U);
    for (std::size_t i = 0; i < all; ++i) {
        if (i < row_label_count_max) {
            starts_[i] = static_cast<std::uint16_t>(text_.size());
            size_ = i + 1;
        } else {
            text_ += '.';
        }
        if (i < labels) {
            dns::append_label_text(text_, *name.suffix(i + 1).labels().begin(), dns::Case::lower);
        }
        ends_[size_ - 1] = static_cast<std::uint16_t>(text_.size());
    }
}

}  // namespace tapir::names
