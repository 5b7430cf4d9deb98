// The loader: the same batches whatever the number of workers, ends of epochs, errors, shutdown, going on from a place.
#include "weft/nn/data/loader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include "tests/nn/data/scratch.h"

using namespace weft;
using namespace weft::data;
using namespace weft::test;

namespace {

// One pixel that holds the sample's number; a second one with a random number.
Sample numbered(size_t i, SampleRandom& random) {
  return {std::to_string(i), 1, 2, 1, {static_cast<float>(i), static_cast<float>(random.uniform())}, {}};
}

std::vector<float> contents(const Batch& batch) { return batch.image.to_vector<float>(); }

// All batches of some epochs; an epoch's end is an empty entry.
std::vector<std::vector<float>> all(Loader& loader, int epochs) {
  std::vector<std::vector<float>> list;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    while (const auto batch = loader.next()) list.push_back(contents(*batch));
    list.emplace_back();
  }
  return list;
}

std::vector<size_t> sizes(Loader& loader, int epochs) {
  std::vector<size_t> list;
  for (const auto& batch : all(loader, epochs)) list.push_back(batch.size() / 2);
  return list;
}

}  // namespace

TEST_CASE("loader: the same batches whatever the number of workers and the prefetch") {
  Loader plain(23, numbered, {.batch = 4, .seed = 9, .workers = 0});
  const auto expected = all(plain, 3);
  for (const int workers : {1, 2, 5})
    for (const int prefetch : {1, 3, 20}) {
      Loader loader(23, numbered, {.batch = 4, .seed = 9, .workers = workers, .prefetch = prefetch});
      CHECK(all(loader, 3) == expected);
    }
  Loader other(23, numbered, {.batch = 4, .seed = 10, .workers = 2});
  CHECK(all(other, 3) != expected);
}

TEST_CASE("loader: a range-for walks one epoch, or what is left of it") {
  Loader by_next(10, numbered, {.batch = 4}), by_range(10, numbered, {.batch = 4});
  const auto expected = all(by_next, 2);
  CHECK(contents(*by_range.next()) == expected[0]);
  std::vector<std::vector<float>> list{expected[0]};
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (const Batch& batch : by_range) list.push_back(contents(batch));
    list.emplace_back();
  }
  CHECK(list == expected);
}

TEST_CASE("loader: every epoch has every sample once, in an order of its own") {
  Loader loader(23, numbered, {.batch = 4, .workers = 2});
  std::vector<std::vector<float>> orders;
  for (int epoch = 0; epoch < 2; ++epoch) {
    std::vector<float> order;
    while (const auto batch = loader.next())
      for (const std::string& name : batch->names) order.push_back(std::stof(name));
    orders.push_back(order);
    std::sort(order.begin(), order.end());
    std::vector<float> expected(23);
    std::iota(expected.begin(), expected.end(), 0.0f);
    CHECK(order == expected);
  }
  CHECK(orders[0] != orders[1]);
  Loader sorted(5, numbered, {.batch = 5, .shuffle = false});
  CHECK(sorted.next()->names == std::vector<std::string>{"0", "1", "2", "3", "4"});
}

TEST_CASE("loader: the last batch is kept, discarded or rolled over") {
  Loader keep(10, numbered, {.batch = 4, .last = LastBatch::keep});
  CHECK(sizes(keep, 2) == std::vector<size_t>{4, 4, 2, 0, 4, 4, 2, 0});
  Loader discard(10, numbered, {.batch = 4, .last = LastBatch::discard});
  CHECK(sizes(discard, 2) == std::vector<size_t>{4, 4, 0, 4, 4, 0});
  Loader rollover(10, numbered, {.batch = 4, .last = LastBatch::rollover});
  CHECK(rollover.batches(0) == 2);
  CHECK(rollover.batches(1) == 3);
  std::vector<float> seen;
  for (const auto& batch : all(rollover, 2))
    for (size_t i = 0; i < batch.size(); i += 2) seen.push_back(batch[i]);
  REQUIRE(seen.size() == 20);
  for (const auto begin : {seen.begin(), seen.begin() + 10}) {  // two whole epochs, one after the other
    std::vector<float> epoch(begin, begin + 10);
    std::sort(epoch.begin(), epoch.end());
    for (size_t i = 0; i < 10; ++i) CHECK(epoch[i] == static_cast<float>(i));
  }
  CHECK_THROWS_AS(Loader(3, numbered, {.batch = 4, .last = LastBatch::discard}), Error);
  CHECK_THROWS_AS(Loader(0, numbered), Error);
  CHECK_THROWS_AS(Loader(3, numbered, {.batch = 0}), Error);
}

TEST_CASE("loader: an error names the sample, and the batches after it come") {
  for (const int workers : {0, 2}) {
    const auto make = [](size_t i, SampleRandom& random) {
      if (i == 5) fail<FileError>("read_png: 'five.png' is damaged");
      return numbered(i, random);
    };
    Loader loader(8, make, {.batch = 2, .shuffle = false, .workers = workers});
    CHECK(loader.next()->names[0] == "0");
    CHECK(loader.next()->names[0] == "2");
    const std::string text = error_of<DataError>([&] { loader.next(); });
    CHECK(contains(text, "sample 5 of epoch 0"));
    CHECK(contains(text, "five.png"));
    CHECK(loader.next()->names[0] == "6");
    CHECK(!loader.next());
    CHECK(loader.next()->names[0] == "0");
  }
}

TEST_CASE("loader: goes on from a position, also in the middle of what is being made") {
  Loader first(11, numbered, {.batch = 3, .seed = 4, .workers = 2});
  all(first, 1);
  first.next();
  const Loader::Position place = first.position();
  CHECK(place.epoch == 1);
  CHECK(place.batch == 1);
  const auto rest = all(first, 2);
  Loader second(11, numbered, {.batch = 3, .seed = 4, .workers = 3, .prefetch = 7});
  second.next();
  second.seek(place);
  CHECK(all(second, 2) == rest);
  CHECK_THROWS_AS(second.seek({0, 9}), IndexError);
}

TEST_CASE("loader: workers stop in the middle of their work, and make no more than they were asked to") {
  std::atomic<int> made = 0;
  {
    const auto slow = [&](size_t i, SampleRandom& random) {
      ++made;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      return numbered(i, random);
    };
    Loader loader(10000, slow, {.batch = 1000, .workers = 3, .prefetch = 2});
    while (made < 5) std::this_thread::yield();
  }
  CHECK(made < 1000);
  made = 0;
  Loader idle(100, [&](size_t i, SampleRandom& random) { return ++made, numbered(i, random); },
              {.batch = 5, .workers = 2, .prefetch = 3});
  idle.next();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(made <= 20);  // one given, three ahead
}
