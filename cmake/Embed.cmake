# tapir_embed(TARGET FILE SYMBOL): the octets of FILE, compiled into TARGET. The source that uses them declares, in
# namespace tapir::embedded, `extern const unsigned char SYMBOL[]` and `extern const std::size_t SYMBOL_size`.
function(tapir_embed TARGET FILE SYMBOL)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embedded_${SYMBOL}.cpp)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${FILE})
  file(READ ${FILE} octets HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," octets "${octets}")
  string(REGEX REPLACE "(0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],0x[0-9a-f][0-9a-f],)"
    "\\1\n" octets "${octets}")
  file(CONFIGURE OUTPUT ${out} @ONLY CONTENT "#include <cstddef>
namespace tapir::embedded {
extern const unsigned char @SYMBOL@[];
extern const std::size_t @SYMBOL@_size;
const unsigned char @SYMBOL@[] = {
@octets@
};
const std::size_t @SYMBOL@_size = sizeof @SYMBOL@;
}  // namespace tapir::embedded
")
  target_sources(${TARGET} PRIVATE ${out})
endfunction()
