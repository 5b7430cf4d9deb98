#include "weft/nn/crc32.h"

#include <array>
#include <bit>
#include <cstring>

namespace weft::nn {

namespace {

static_assert(std::endian::native == std::endian::little);

// table[k][b]: what byte b contributes when k more bytes follow it in a word of eight.
using Table = std::array<std::array<uint32_t, 256>, 8>;

constexpr Table make_table(uint32_t polynomial) {
  Table table{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
    table[0][b] = crc;
  }
  for (size_t k = 1; k < 8; ++k)
    for (size_t b = 0; b < 256; ++b) table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 255];
  return table;
}

// Eight bytes at a time (Kounavis and Berry 2005).
uint32_t update(const Table& table, const void* data, size_t bytes, uint32_t crc) noexcept {
  const auto* p = static_cast<const unsigned char*>(data);
  crc = ~crc;
  for (; bytes >= 8; bytes -= 8, p += 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    word ^= crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) crc ^= table[7 - k][word >> (8 * k) & 255];
  }
  for (; bytes; --bytes, ++p) crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
  return ~crc;
}

constexpr Table castagnoli = make_table(0x82F63B78), zip = make_table(0xEDB88320);

}  // namespace

uint32_t crc32c(const void* data, size_t bytes, uint32_t crc) noexcept { return update(castagnoli, data, bytes, crc); }
uint32_t crc32(const void* data, size_t bytes, uint32_t crc) noexcept { return update(zip, data, bytes, crc); }

}  // namespace weft::nn
