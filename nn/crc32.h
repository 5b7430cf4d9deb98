// Checksums of 32 bits, in the two polynomials that file formats use. Both find every change within 32 bits in a row.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft::nn {

/// Castagnoli's polynomial (iSCSI, RFC 3720): crc32c("123456789") is 0xE3069283. `crc` continues an earlier piece.
uint32_t crc32c(const void* data, size_t bytes, uint32_t crc = 0) noexcept;
/// The polynomial of zip and PNG: crc32("123456789") is 0xCBF43926.
uint32_t crc32(const void* data, size_t bytes, uint32_t crc = 0) noexcept;

}  // namespace weft::nn
