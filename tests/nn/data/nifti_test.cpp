// NIfTI-1 volumes: types, byte orders, scaling, space, and headers that lie.
#include "weft/nn/data/nifti.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/nn/data/scratch.h"

using namespace weft;
using namespace weft::data;
using namespace weft::test;

namespace {

using Bytes = std::vector<uint8_t>;

// A file in the making: 352 bytes of header, then voxels; `big` writes every number big-endian.
struct Maker {
  bool big = false;
  Bytes bytes = Bytes(352);

  explicit Maker(int16_t datatype = 16, std::array<int16_t, 3> extent = {2, 3, 2}, bool big_endian = false)
      : big(big_endian) {
    set(0, int32_t{348});
    set(40, int16_t{3});
    for (size_t i = 0; i < 7; ++i) set(42 + 2 * i, i < 3 ? extent[i] : int16_t{1});
    set(70, datatype);
    set(76, 1.0f);
    for (size_t i = 0; i < 3; ++i) set(80 + 4 * i, static_cast<float>(i + 1));
    set(108, 352.0f);
    std::memcpy(&bytes[344], "n+1", 4);
  }
  template <class T>
  Maker& set(size_t at, T value) {
    uint8_t raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    if (big) std::reverse(raw, raw + sizeof(T));
    if (bytes.size() < at + sizeof(T)) bytes.resize(at + sizeof(T));
    std::copy(raw, raw + sizeof(T), &bytes[at]);
    return *this;
  }
  template <class T>
  Maker& voxels(std::vector<T> values) {
    for (const T value : values) set(bytes.size(), value);
    return *this;
  }
};

Bytes packed(const Bytes& bytes) {
  Bytes out(bytes.size() + 1000);
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);  // +16: a gzip file
  stream.next_in = const_cast<uint8_t*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

template <class T>
std::vector<T> counting(T first) {
  std::vector<T> values(12);
  for (size_t i = 0; i < 12; ++i) values[i] = static_cast<T>(first + static_cast<T>(i));
  return values;
}

template <class T>
void check_type(int16_t datatype, T first) {
  const Scratch scratch;
  for (const bool big : {false, true}) {
    const Maker maker = Maker(datatype, {2, 3, 2}, big).voxels(counting<T>(first));
    for (const Bytes& bytes : {maker.bytes, packed(maker.bytes)}) {
      const Volume volume = read_nifti(scratch.file("x.nii.gz", bytes));
      CHECK(volume.extent == std::array<int64_t, 3>{2, 3, 2});
      REQUIRE(volume.values.size() == 12);
      for (size_t i = 0; i < 12; ++i) CHECK(volume.values[i] == static_cast<float>(first + static_cast<T>(i)));
      CHECK(volume.at(1, 2, 1) == volume.values[11]);
    }
  }
}

// What reading a file of these bytes complains of; it must name the file.
std::string complaint(const Bytes& bytes) {
  const Scratch scratch;
  const std::string path = scratch.file("head.nii", bytes);
  const std::string text = error_of([&] { read_nifti(path); });
  CHECK(contains(text, path));
  return text;
}

Maker good() { return Maker().voxels(counting(0.5f)); }

}  // namespace

TEST_CASE("nifti: all types in both byte orders, plain and packed") {
  check_type<uint8_t>(2, 240);
  check_type<int8_t>(256, -6);
  check_type<int16_t>(4, -300);
  check_type<uint16_t>(512, 65000);
  check_type<int32_t>(8, -70000);
  check_type<uint32_t>(768, 3000000000u);
  check_type<float>(16, -0.5f);
  check_type<double>(64, -0.25);
}

TEST_CASE("nifti: slope and intercept; a slope of 0 means none") {
  const Scratch scratch;
  const auto read = [&](Maker maker) { return read_nifti(scratch.file("x.nii", maker.bytes)).values; };
  const std::vector<float> scaled = read(good().set(112, 2.0f).set(116, -1.0f));
  CHECK(scaled[0] == 0.0f);
  CHECK(scaled[11] == 22.0f);
  CHECK(read(good().set(112, 0.0f).set(116, -1.0f))[3] == 3.5f);
}

TEST_CASE("nifti: voxels may begin later, and extents beyond the third may be 1") {
  const Scratch scratch;
  Maker late = Maker().set(108, 368.0f);
  late.bytes.resize(368);
  CHECK(read_nifti(scratch.file("x.nii", late.voxels(counting(4.0f)).bytes)).values[0] == 4.0f);
  CHECK(read_nifti(scratch.file("x.nii", good().set(40, int16_t{5}).bytes)).values[1] == 1.5f);
}

TEST_CASE("nifti: where voxels lie: sform, else qform, else the spacing") {
  const Scratch scratch;
  const auto read = [&](Maker maker) { return read_nifti(scratch.file("x.nii", maker.bytes)); };
  const Volume plain = read(good());
  CHECK(plain.spacing == std::array<double, 3>{1, 2, 3});
  CHECK(plain.affine[1] == std::array<double, 4>{0, 2, 0, 0});
  // A quarter turn about z: x of the file points to y of the world; qfac -1 turns the third axis round.
  const float half = std::sqrt(0.5f);
  const Maker turned = good().set(252, int16_t{1}).set(264, half).set(76, -1.0f).set(268, 10.0f).set(272, 20.0f);
  const Volume q = read(turned);
  const double expected[3][4] = {{0, -2, 0, 10}, {1, 0, 0, 20}, {0, 0, -3, 0}};
  for (size_t row = 0; row < 3; ++row)
    for (size_t column = 0; column < 4; ++column)
      CHECK(q.affine[row][column] == doctest::Approx(expected[row][column]).epsilon(1e-6));
  Maker both = turned;
  both.set(254, int16_t{2}).set(280, 7.0f);
  CHECK(read(both).affine[0] == std::array<double, 4>{7, 0, 0, 0});
  const Volume metres = read(good().set(123, uint8_t{1}));
  CHECK(metres.spacing[1] == 2000);
}

TEST_CASE("nifti: axes come to right, front, head") {
  const Scratch scratch;
  Maker maker = good().set(254, int16_t{1});
  // The file's axes: left, head (up by 2), front (by 3).
  maker.set(280, -1.0f).set(292, 5.0f).set(304, 3.0f).set(296, 0.0f).set(316, 2.0f);
  const Volume volume = read_nifti(scratch.file("x.nii", maker.bytes));
  const Volume ras = to_ras(volume);
  CHECK(ras.extent == std::array<int64_t, 3>{2, 2, 3});
  CHECK(ras.spacing == std::array<double, 3>{1, 3, 2});
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 3; ++j)
      for (int64_t k = 0; k < 2; ++k) CHECK(ras.at(1 - i, k, j) == volume.at(i, j, k));
  CHECK(ras.affine[0] == std::array<double, 4>{1, 0, 0, 4});  // voxel 0 is the old voxel 1, at 5 - 1
  CHECK(ras.affine[1] == std::array<double, 4>{0, 3, 0, 0});
}

TEST_CASE("nifti: wrong headers are refused by name") {
  CHECK(contains(complaint(Bytes(100)), "100 bytes"));
  CHECK(contains(complaint(good().set(0, int32_t{347}).bytes), "348"));
  Maker pair = good();
  std::memcpy(&pair.bytes[344], "ni1", 4);
  CHECK(contains(complaint(pair.bytes), "pair"));
  Maker unmarked = good();
  unmarked.bytes[345] = 'x';
  CHECK(contains(complaint(unmarked.bytes), "n+1"));
  CHECK(contains(complaint(good().set(40, int16_t{0}).bytes), "0 axes"));
  CHECK(contains(complaint(good().set(40, int16_t{9}).bytes), "9 axes"));
  CHECK(contains(complaint(good().set(44, int16_t{-3}).bytes), "extent -3 on axis 1"));
  CHECK(contains(complaint(good().set(40, int16_t{4}).set(48, int16_t{5}).bytes), "more than one volume"));
  CHECK(contains(complaint(good().set(70, int16_t{128}).bytes), "type 128"));
  for (const float offset : {0.0f, 347.0f, 352.5f, -1.0f, std::numeric_limits<float>::quiet_NaN()})
    CHECK(contains(complaint(good().set(108, offset).bytes), "begin at byte"));
  CHECK(contains(complaint(good().set(112, std::numeric_limits<float>::infinity()).bytes), "not finite"));
  CHECK(contains(complaint(good().set(84, std::numeric_limits<float>::quiet_NaN()).bytes), "spacing"));
  CHECK(contains(complaint(good().set(254, int16_t{1}).set(288, -INFINITY).bytes), "affine"));
}

TEST_CASE("nifti: files that hold less than they promise are refused, without memory for the promise") {
  const Bytes whole = good().bytes;
  for (size_t length = 0; length < whole.size(); length += 3)
    CHECK(!complaint(Bytes(whole.begin(), whole.begin() + static_cast<int64_t>(length))).empty());
  const Bytes small = packed(whole);
  for (size_t length = 1; length < small.size(); length += 3)
    CHECK(!complaint(Bytes(small.begin(), small.begin() + static_cast<int64_t>(length))).empty());
  Maker liar = good();
  for (const size_t at : {42, 44, 46}) liar.set(at, int16_t{32767});  // 140 TB
  CHECK(contains(complaint(liar.bytes), "400 of"));
  const Scratch scratch;
  CHECK(contains(error_of([&] { read_nifti(scratch.path("none.nii.gz")); }), "none.nii.gz"));
}

TEST_CASE("nifti: whichever byte is wrong, a file is read or refused") {
  const Scratch scratch;
  const auto read = [](const std::string& path) { read_nifti(path); };
  CHECK(damage_every_byte(scratch, "x.nii", good().bytes, read) > 20);
  CHECK(damage_every_byte(scratch, "x.nii.gz", packed(good().bytes), read) > 50);
}
