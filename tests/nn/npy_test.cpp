#include "weft/nn/npy.h"

#include <doctest/doctest.h>

#include <cstring>
#include <numeric>

#include "tests/support/npz.h"
#include "tests/support/paths.h"
#include "tests/support/temp_folder.h"

using namespace weft;
using namespace weft::nn;

namespace {

Tensor golden(const std::string& name) { return load_npy(test::source_path("tests/golden/npy/" + name + ".npy")); }

Tensor parse(const std::string& bytes) { return parse_npy(std::as_bytes(std::span(bytes))); }

// A file with this header dictionary and so many bytes of data.
std::string file_of(const std::string& dictionary, size_t data) {
  std::string file("\x93NUMPY\x01\x00", 8);
  const auto length = static_cast<uint16_t>(dictionary.size());
  file.append(reinterpret_cast<const char*>(&length), 2);
  return file + dictionary + std::string(data, '\0');
}

std::vector<double> counting(size_t n) {
  std::vector<double> values(n);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

}  // namespace

TEST_SUITE("nn/npy") {
  TEST_CASE("files that NumPy wrote") {
    const Tensor plain = golden("plain");
    CHECK(plain.shape() == Shape{2, 3});
    CHECK(plain.dtype() == DType::f32);
    for (const char* name : {"plain", "big_endian", "big_endian_fortran", "half", "version2"})
      CHECK(golden(name).to_vector<double>() == counting(6));
    CHECK(golden("half").dtype() == DType::f16);
    CHECK(golden("big_endian").dtype() == DType::f64);
    CHECK(golden("big_endian_fortran").dtype() == DType::i32);
    CHECK(golden("big_endian_fortran").shape() == Shape{2, 3});
    CHECK(golden("scalar").shape() == Shape{});
    CHECK(golden("scalar").item<double>() == 2.5);
    CHECK(golden("empty").shape() == Shape{0, 4});
    CHECK(golden("empty").dtype() == DType::i64);
    CHECK(golden("fortran").shape() == Shape{2, 3, 4});
    CHECK(golden("fortran").is_contiguous());
    CHECK(golden("fortran").to_vector<double>() == counting(24));
    CHECK(golden("bool").to_vector<uint8_t>() == std::vector<uint8_t>{1, 0, 1});
    CHECK(golden("i1").to_vector<int32_t>() == std::vector<int32_t>{-128, 127});
    CHECK(golden("u2").to_vector<int32_t>() == std::vector<int32_t>{0, 65535});
    CHECK(golden("u4").to_vector<int64_t>() == std::vector<int64_t>{0, 4294967295});
    for (const char* name : {"object", "records", "complex", "u8"}) CHECK_THROWS_AS(golden(name), DtypeError);
  }

  TEST_CASE("written as NumPy writes it, byte by byte") {
    const test::TempFolder folder;
    save_npy(folder / "a.npy", golden("plain"));
    CHECK(test::read_file(folder / "a.npy") == test::read_file(test::source_path("tests/golden/npy/plain.npy")));
    CHECK(to_npy(golden("scalar")) == test::read_file(test::source_path("tests/golden/npy/scalar.npy")));
    CHECK(to_npy(golden("bool")) == test::read_file(test::source_path("tests/golden/npy/bool.npy")));
    const Tensor lying = arange(0, 24).reshape({2, 3, 4}).transpose(0, 2);
    CHECK(parse(to_npy(lying)).to_vector<float>() == lying.to_vector<float>());
    for (const DType dtype : {DType::f64, DType::i64, DType::i32, DType::u8, DType::f16}) {
      const Tensor x = arange(0, 5).to(dtype), y = parse(to_npy(x));
      CHECK(y.dtype() == dtype);
      CHECK(y.to_vector<double>() == x.to_vector<double>());
    }
    CHECK_THROWS_AS(to_npy(zeros({1}, {.dtype = DType::bf16})), DtypeError);
  }

  TEST_CASE("broken files") {
    const std::string good = file_of("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 8);
    CHECK_NOTHROW(parse(good));
    for (size_t n = 0; n < good.size(); ++n) CHECK_THROWS_AS(parse(good.substr(0, n)), CheckpointError);
    CHECK_THROWS_AS(parse(good + "x"), CheckpointError);
    for (const char* bad : {"", "{", "{}", "{'descr': '<f4', 'fortran_order': False}",
                            "{'descr': '<f4', 'fortran_order': False, 'shape': 2}",
                            "{'descr': '<f4', 'fortran_order': Maybe, 'shape': ()}",
                            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
                            "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", "{'x': 1}",
                            "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,4)}",
                            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
                            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
                            "{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", "{'descr': '<f4"}) {
      CAPTURE(bad);
      CHECK_THROWS_AS(parse(file_of(bad, 4)), CheckpointError);
    }
    CHECK_THROWS_AS(parse(file_of("{'descr': '<f', 'fortran_order': False, 'shape': ()}", 4)), DtypeError);
    CHECK_THROWS_AS(load_npy("no such file"), CheckpointError);
  }

  TEST_CASE("archives: NumPy's, against an independent reader") {
    const NamedTensors two = load_npz(test::source_path("tests/golden/npy/two.npz"));
    REQUIRE(two.size() == 2);
    CHECK(two[0].first == "weight");
    CHECK(two[0].second.to_vector<double>() == counting(6));
    CHECK(two[1].second.item<int64_t>() == 7);
    const std::string path = test::source_path("tests/golden/softmax.npz");
    const auto expected = test::read_npz(path);
    const NamedTensors found = load_npz(path);
    CHECK(found.size() == expected.size());
    for (const auto& [name, tensor] : found) {
      REQUIRE(expected.count(name));
      CHECK(tensor.shape() == expected.at(name).values.shape);
      CHECK(tensor.to_vector<double>() == expected.at(name).values.values);
    }
    CHECK_THROWS_AS(load_npz(test::source_path("tests/golden/npy/compressed.npz")), CheckpointError);
  }

  TEST_CASE("archives written, read, damaged") {
    const test::TempFolder folder;
    const NamedTensors arrays{{"x/y", arange(0, 6).reshape({2, 3})}, {"flag", tensor<bool>({true})}, {"z", zeros({0})}};
    save_npz(folder / "a.npz", arrays);
    const auto check_all = [&](const NamedTensors& found) {
      REQUIRE(found.size() == arrays.size());
      for (size_t i = 0; i < arrays.size(); ++i) {
        CHECK(found[i].first == arrays[i].first);
        CHECK(found[i].second.shape() == arrays[i].second.shape());
        CHECK(found[i].second.to_vector<double>() == arrays[i].second.to_vector<double>());
      }
    };
    check_all(load_npz(folder / "a.npz"));
    CHECK(test::read_npz(folder / "a.npz").at("x/y").values.values == counting(6));
    const std::string whole = test::read_file(folder / "a.npz");
    const auto parse_zip = [](const std::string& bytes) { return parse_npz(std::as_bytes(std::span(bytes))); };
    check_all(parse_zip(whole + ""));
    for (size_t n = 0; n < whole.size(); ++n) CHECK_THROWS_AS(parse_zip(whole.substr(0, n)), CheckpointError);
    int survived = 0;  // flips in fields that nobody reads, as the date
    for (size_t i = 0; i < whole.size() * 8; ++i) {
      std::string flipped = whole;
      flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ 1 << (i % 8));
      try {
        for (const auto& [name, tensor] : parse_zip(flipped)) {
          bool same = false;
          for (const auto& [known, value] : arrays)
            same |= value.shape() == tensor.shape() && value.to_vector<double>() == tensor.to_vector<double>();
          CHECK(same);
        }
        ++survived;
      } catch (const Error&) {
      }
    }
    CHECK(survived > 0);
    CHECK_THROWS_AS(save_npz(folder / "b.npz", {{"a", zeros({1})}, {"a", zeros({1})}}), Error);
    CHECK(folder.files() == std::vector<std::string>{"a.npz"});
  }
}
