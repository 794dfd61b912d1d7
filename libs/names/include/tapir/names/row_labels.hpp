// How a list entry is spread over the columns label0 to label9 of a histogram row.
//
//     const RowLabels labels(index.entry(id));
//     for (std::size_t i = 0; i < labels.size(); ++i) { row.label[i] = labels[i]; }   // rest NULL
//
// From the root on: label0 is the top-level domain. A suffix entry has an empty label (not NULL)
// after its own. With more than ten, label9 is the tenth and all that follow it, joined with dots
// in that same order. The root has none. Text is lower case and escaped as dns::NameText has it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tapir/names/name_index.hpp"

namespace tapir::names {

inline constexpr std::size_t row_label_count_max = 10;

class RowLabels {
public:
    explicit RowLabels(const Entry& entry);

    std::size_t size() const { return size_; }  // 0 to 10: the rest of the columns are NULL
    std::string_view operator[](std::size_t i) const {
        return std::string_view(text_).substr(starts_[i], std::size_t{ends_[i]} - starts_[i]);
    }

private:
    std::string text_;
    std::array<std::uint16_t, row_label_count_max> starts_ = {};
    std::array<std::uint16_t, row_label_count_max> ends_ = {};
    std::size_t size_ = 0;
};

}  // namespace tapir::names
