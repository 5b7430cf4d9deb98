#include "weft/nn/safetensors.h"

#include <doctest/doctest.h>

#include <cstring>

#include "tests/support/array.h"
#include "tests/support/temp_folder.h"
#include "weft/nn/crc32.h"
#include "weft/nn/safetensors_index.h"
#include "weft/nn/serialize.h"

using namespace weft;
using namespace weft::nn;

namespace {

std::string file_of(const std::string& json, size_t data_bytes) {
  const uint64_t length = json.size();
  std::string file(reinterpret_cast<const char*>(&length), 8);
  return file + json + std::string(data_bytes, '\1');
}

safetensors::Header parse(const std::string& file) { return safetensors::parse_header(std::as_bytes(std::span(file))); }

// The error of a header with this JSON, "" if there is none.
std::string error_of(const std::string& json, size_t data_bytes) {
  try {
    parse(file_of(json, data_bytes));
    return "";
  } catch (const CheckpointError& e) {
    return e.what();
  }
}

std::string tensor_json(const std::string& name, const std::string& shape, int begin, int end,
                        const std::string& dtype = "F32") {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

NamedTensors some_tensors() {
  return {{"bias", tensor({1.f, 2.f, 3.f})},
          {"wide", tensor({0.5, -1.5})},
          {"count", tensor<int64_t>(7)},
          {"mask", tensor<bool>({true, false, true})},
          {"bytes", tensor<uint8_t>({9, 8})},
          {"half", full({2, 2}, 0.25, {.dtype = DType::f16})},
          {"brain", full({1}, -3, {.dtype = DType::bf16})},
          {"empty", zeros({0, 5})},
          {"ints", tensor<int32_t>({-1, 5})}};
}

}  // namespace

TEST_SUITE("nn/safetensors") {
  TEST_CASE("checksums: the standards' test values, in pieces too") {
    CHECK(crc32c("123456789", 9) == 0xE3069283);
    CHECK(crc32("123456789", 9) == 0xCBF43926);
    CHECK(crc32c("", 0) == 0);
    const std::string long_text(1000, 'x');
    for (const size_t cut : {0, 1, 7, 8, 9, 333, 1000})
      CHECK(crc32c(long_text.data() + cut, 1000 - cut, crc32c(long_text.data(), cut)) ==
            crc32c(long_text.data(), 1000));
  }

  TEST_CASE("a header, its order, scalars, empty tensors, metadata, unknown types") {
    const safetensors::Header header =
        parse(file_of("{\"__metadata__\":{\"a\":\"b\\n\"}," + tensor_json("second", "[2]", 4, 8, "F16") + "," +
                          tensor_json("first", "[]", 0, 4) + "," + tensor_json("none", "[0,3]", 8, 8) + "," +
                          tensor_json("odd", "[7]", 8, 11, "Q3") + "}   ",
                      11));
    CHECK(header.metadata == std::map<std::string, std::string>{{"a", "b\n"}});
    REQUIRE(header.tensors.size() == 4);
    CHECK(header.tensors[0].name == "first");
    CHECK(header.tensors[0].shape == Shape{});
    CHECK(header.tensors[1].shape == Shape{2});
    CHECK(header.tensors[2].shape == Shape{0, 3});
    CHECK(header.tensors[3].dtype == "Q3");
    CHECK_THROWS_AS(safetensors::dtype_of("Q3"), DtypeError);
    CHECK_THROWS_AS(safetensors::dtype_of("U32"), DtypeError);
    CHECK(safetensors::dtype_of("BF16") == DType::bf16);
    CHECK(parse(file_of("{}", 0)).tensors.empty());
  }

  TEST_CASE("hostile headers are refused, each for its reason") {
    const std::string one = tensor_json("a", "[2]", 0, 8);
    const std::string nine = "[1,1,1,1,1,1,1,1,1]";
    const struct {
      std::string json;
      size_t data;
      const char* reason;
    } cases[] = {
        {"{" + tensor_json("a", "[4194305,4194305,211106198978564]", 0, 16) + "}", 16, "16 bytes of data"},
        {"{" + tensor_json("a", "[4611686018427387904,4]", 0, 0) + "}", 0, "0 bytes of data"},
        {"{" + tensor_json("a", "[9223372036854775808]", 0, 8) + "}", 8, "beyond 2^62"},
        {"{" + tensor_json("a", "[3]", 0, 8) + "}", 8, "has 8 bytes of data"},
        {"{" + one + "," + tensor_json("b", "[2]", 4, 12) + "}", 12, "overlapping"},
        {"{" + one + "," + tensor_json("b", "[2]", 0, 8) + "}", 8, "overlapping"},
        {"{" + one + "," + tensor_json("b", "[1]", 12, 16) + "}", 16, "leaving a hole"},
        {"{" + tensor_json("a", "[2]", 4, 12) + "}", 12, "leaving a hole"},
        {"{" + tensor_json("a", "[2]", 8, 0) + "}", 8, "bytes 8 to 0"},
        {"{" + one + "}", 7, "bytes 0 to 8 of 7"},
        {"{" + one + "}", 9, "end at byte 8 of 9"},
        {"{}", 1, "end at byte 0 of 1"},
        {"{" + one + "," + one + "}", 8, "a name stands twice: 'a'"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "a name stands twice"},
        {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "metadata stands twice"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "a number stands where it should not"},
        {"{\"__metadata__\":{\"k\":{}}}", 0, "an object stands where it should not"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
         "a field stands twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],\"x\":1}}", 4, "unknown field: 'x'"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, "is missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0]}}", 0, "not two numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4,4]}}", 4, "a number stands where"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "neither text nor a whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, "neither text nor a whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}", 4, "neither text nor"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[[1]],\"data_offsets\":[0,4]}}", 4, "a list stands where"},
        {"{\"a\":{\"dtype\":null,\"shape\":[],\"data_offsets\":[0,4]}}", 4, "neither text nor"},
        {"{\"a\":[]}", 0, "a list stands where"},
        {"{\"a\":\"b\"}", 0, "a text stands where"},
        {"{" + tensor_json("a", nine, 0, 4) + "}", 4, "more than 8 dimensions"},
        {"{" + tensor_json("a", "[3]", 0, 1, "F4") + "}", 1, "has 1 bytes of data"},
        {"{" + tensor_json("\xff\xfe", "[]", 0, 4) + "}", 4, "JSON broken"},
        {"{" + one + "} {", 8, "JSON broken"},
        {"{" + one, 8, "JSON broken"},
        {"[]", 0, "does not begin with '{'"},
        {" {}", 0, "does not begin with '{'"},
        {"", 0, "does not begin with '{'"},
        {"{\"a\":" + std::string(100000, '[') + "}", 0, "a list stands where"},
    };
    for (const auto& c : cases) {
      CAPTURE(c.json.substr(0, 200));
      const std::string error = error_of(c.json, c.data);
      CHECK_MESSAGE(error.find(c.reason) != std::string::npos, error);
      CHECK(error.rfind("safetensors: ", 0) == 0);
    }
    CHECK(error_of("{" + one + "}", 8).empty());
  }

  TEST_CASE("lengths of the header that lie") {
    for (const uint64_t length : {uint64_t{1}, uint64_t{3}, ~uint64_t{0}, ~uint64_t{0} - 7, uint64_t{1} << 63}) {
      std::string file = file_of("{}", 0);
      std::memcpy(file.data(), &length, 8);
      CHECK_THROWS_AS(parse(file), CheckpointError);
    }
    std::string large = file_of("{}" + std::string(safetensors::max_header_bytes - 2, ' '), 0);
    CHECK_NOTHROW(parse(large));
    large = file_of("{}" + std::string(safetensors::max_header_bytes - 1, ' '), 0);
    CHECK_THROWS_AS(parse(large), CheckpointError);
  }

  TEST_CASE("written and read: all dtypes, layouts, ranks; large elements first, then by name; data aligned") {
    const test::TempFolder folder;
    NamedTensors tensors = some_tensors();
    const Tensor lying = arange(0, 24).reshape({2, 3, 4}).transpose(0, 2).slice(0, 1, 4, 2);
    tensors.emplace_back("lying \"quoted\" \u00e4", lying);
    write_safetensors(folder / "a.safetensors", tensors, {{"note", "x\ty"}});
    CHECK(folder.files() == std::vector<std::string>{"a.safetensors"});
    const SafetensorsFile file(folder / "a.safetensors");
    CHECK(file.verify());
    CHECK(file.metadata().at("note") == "x\ty");
    REQUIRE(file.header().tensors.size() == tensors.size());
    CHECK(file.header().data_start % 8 == 0);
    std::string previous;
    int64_t size = 8;
    for (const safetensors::Entry& entry : file.header().tensors) {
      const int64_t own = size_of(safetensors::dtype_of(entry.dtype));
      CHECK(entry.begin % static_cast<uint64_t>(own) == 0);
      CHECK(own <= size);
      CHECK((own < size || entry.name > previous || entry.begin == 0 || entry.begin == entry.end));
      size = own, previous = entry.name;
    }
    for (const auto& [name, tensor] : tensors) {
      const Tensor read = file.load(name);
      CHECK(read.shape() == tensor.shape());
      CHECK(read.dtype() == tensor.dtype());
      CHECK(read.to_vector<double>() == tensor.to_vector<double>());
    }
    CHECK_THROWS_AS(file.load("other"), IndexError);
  }

  TEST_CASE("the same tensors give the same bytes, in whatever order they are given") {
    const test::TempFolder folder;
    NamedTensors tensors = some_tensors();
    write_safetensors(folder / "a", tensors);
    std::reverse(tensors.begin(), tensors.end());
    write_safetensors(folder / "b", tensors);
    CHECK(test::read_file(folder / "a") == test::read_file(folder / "b"));
  }

  TEST_CASE("a file cut off at any byte, or with a byte more, is refused") {
    const test::TempFolder folder;
    write_safetensors(folder / "a", some_tensors());
    const std::string whole = test::read_file(folder / "a");
    CHECK_NOTHROW(parse(whole));
    for (size_t n = 0; n < whole.size(); ++n) CHECK_THROWS_AS(parse(whole.substr(0, n)), CheckpointError);
    CHECK_THROWS_AS(parse(whole + "x"), CheckpointError);
    test::write_file(folder / "cut", whole.substr(0, whole.size() - 1));
    CHECK_THROWS_AS(SafetensorsFile(folder / "cut"), CheckpointError);
    test::write_file(folder / "empty", "");
    CHECK_THROWS_WITH(SafetensorsFile(folder / "empty"),
                      ("load: '" + (folder / "empty") + "': 0 bytes are no safetensors file").c_str());
    CHECK_THROWS_AS(SafetensorsFile(folder / "absent"), CheckpointError);
    CHECK_THROWS_AS(SafetensorsFile(folder.path()), CheckpointError);
  }

  TEST_CASE("a bool byte other than 0 and 1 becomes true; foreign files have no checksum") {
    const test::TempFolder folder;
    test::write_file(folder / "b",
                     file_of("{" + tensor_json("m", "[3]", 0, 3, "BOOL") + "}", 0) + std::string("\0\1\7", 3));
    const SafetensorsFile file(folder / "b");
    CHECK_FALSE(file.verify());
    const Tensor mask = file.load("m");
    CHECK(static_cast<const uint8_t*>(mask.raw())[2] == 1);
    CHECK(mask.to_vector<uint8_t>() == std::vector<uint8_t>{0, 1, 1});
  }

  TEST_CASE("names that cannot be written") {
    const test::TempFolder folder;
    const Tensor x = zeros({1});
    for (const NamedTensors& bad : {NamedTensors{{"", x}}, NamedTensors{{"__metadata__", x}},
                                    NamedTensors{{"a", x}, {"a", x}}, NamedTensors{{"\xff", x}}})
      CHECK_THROWS_AS(write_safetensors(folder / "a", bad), Error);
    CHECK(folder.files().empty());
  }

  TEST_CASE("an index of several files") {
    const test::TempFolder folder;
    const NamedTensors tensors = some_tensors();
    const std::string index = write_shards(folder / "m", tensors, 24, {{"k", "v"}});
    CHECK(index == (folder / "m.safetensors.index.json"));
    CHECK(folder.files().size() > 3);
    std::map<std::string, Tensor> read;
    for (const auto& [name, tensor] : read_tensors(index)) CHECK(read.emplace(name, tensor).second);
    REQUIRE(read.size() == tensors.size());
    for (const auto& [name, tensor] : tensors) CHECK(read[name].to_vector<double>() == tensor.to_vector<double>());
    std::string json = test::read_file(index);
    json.replace(json.find("\"bias\""), 6, "\"base\"");
    test::write_file(index, json);
    CHECK_THROWS_AS(read_tensors(index), CheckpointError);
    const auto parse_index = [](const std::string& text) { return safetensors::parse_index(text); };
    CHECK(
        parse_index("{\"metadata\":{\"weight_map\":{\"n\":[1,{}]},\"s\":1.5},\"weight_map\":{\"a\":\"f\",\"b\":\"f\"}}")
            .at("f") == std::set<std::string>{"a", "b"});
    for (const char* bad : {"{}", "[]", "{\"weight_map\":{\"a\":\"../f\"}}", "{\"weight_map\":{\"a\":\"/f\"}}",
                            "{\"weight_map\":{\"a\":1}}", "{\"weight_map\":{\"a\":{\"b\":\"f\"}}}",
                            "{\"weight_map\":{\"a\":\"f\",\"a\":\"g\"}}", "{\"weight_map\":[\"f\"]}",
                            "{\"weight_map\":{},\"weight_map\":{}}", "{\"weight_map\":{\"a\":\"\"}}", "{"}) {
      CAPTURE(bad);
      CHECK_THROWS_AS(parse_index(bad), CheckpointError);
    }
  }
}
