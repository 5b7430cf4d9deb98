// main() of the test programs: doctest, the rows of the op table, and what must hold after every case: no storage left
// alive, no report of the simulator. A run without cases is a failure.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/child.h"
#include "tests/support/hooks.h"
#include "tests/support/op_table_run.h"
#include "weft/tensor/storage.h"

namespace weft::test {

namespace {

int skipped_cuda = 0, skipped_several = 0;
int failures_after_cases = 0;
bool no_cases = false;

int64_t live_storages() {
  int64_t live = 0;
  for (int i = 0; i < max_cpu_devices; ++i) live += memory_stats({DeviceType::cpu, i}).live_storages;
  for (int i = 0; i < device_count(DeviceType::cuda); ++i) live += memory_stats({DeviceType::cuda, i}).live_storages;
  return live;
}

void fail_after(const doctest::TestCaseData& test, const std::string& text) {
  ++failures_after_cases;
  std::printf("%s:%u: FAILED after the case '%s': %s\n", test.m_file.c_str(), test.m_line, test.m_name, text.c_str());
}

// Files whose cases name no device where any will do. On CUDA alone they run on cuda:0; others ask for it by name.
bool runs_anywhere(const std::string& file) {
  for (const char* part : {"tests/parallel/", "tests/nn/layers", "tests/nn/loss_test", "tests/nn/optim_test",
                           "tests/nn/ema_test", "tests/nn/grad_scaler"})
    if (file.find(part) != std::string::npos) return true;
  return false;
}

struct Listener : doctest::IReporter {
  explicit Listener(const doctest::ContextOptions&) {}
  void test_case_start(const doctest::TestCaseData& test) override {
    test_ = &test;
    set_running_case(test.m_name);
    live_ = live_storages();
    if (on_cuda_alone() && runs_anywhere(test.m_file.c_str())) on_card_.emplace("cuda:0");
  }
  void test_case_end(const doctest::CurrentTestCaseStats&) override {
    on_card_.reset();
    if (weft_test_after_case)
      if (const std::string text = weft_test_after_case(); !text.empty()) fail_after(*test_, text);
    if (const int64_t live = live_storages(); live != live_)
      fail_after(*test_, std::to_string(live) + " storages are alive, " + std::to_string(live_) + " were before");
  }
  void test_run_end(const doctest::TestRunStats& stats) override { no_cases = stats.numTestCasesPassingFilters == 0; }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}

 private:
  const doctest::TestCaseData* test_ = nullptr;
  int64_t live_ = 0;
  std::optional<DeviceGuard> on_card_;
};

}  // namespace

bool cuda_or_skip() {
  if (device_count(DeviceType::cuda) > 0) return true;
  ++skipped_cuda;
  return false;
}

bool several_or_skip(int n) {
  if (!cuda_or_skip()) return false;
  if (device_count(DeviceType::cuda) >= n) return true;
  ++skipped_several;
  return false;
}

bool on_cuda_alone() {
  static const char* const device = std::getenv("WEFT_DEVICE");
  return device && std::string(device) == "cuda";
}

std::vector<Device> devices_to_test() {
  std::vector<Device> devices;
  if (!on_cuda_alone()) devices.emplace_back("cpu:0");
  if (cuda_or_skip()) devices.push_back("cuda:0");
  return devices;
}

}  // namespace weft::test

REGISTER_LISTENER("weft", 1, weft::test::Listener);

int main(int argc, char** argv) {
  using namespace weft;
  int status = 0;
  if (test::child_main(status)) return status;
  doctest::Context context(argc, argv);
  context.setOption("no-version", true);
  const char* require = std::getenv("WEFT_REQUIRE_CUDA");
  const bool required = require && std::string(require) == "1";
  if ((required || test::on_cuda_alone()) && device_count(DeviceType::cuda) == 0) {
    std::printf("%s, but %s\n", required ? "WEFT_REQUIRE_CUDA is 1" : "WEFT_DEVICE is cuda",
                why_unavailable(DeviceType::cuda).c_str());
    return 1;
  }
  test::register_rows();
  const int result = context.run();
  if (context.shouldExit()) return result;
  std::printf("%s", test::matrix_of_runs().c_str());
  if (test::skipped_cuda)
    std::printf("SKIPPED: %d cases or cells that need CUDA (%s)\n", test::skipped_cuda,
                why_unavailable(DeviceType::cuda).c_str());
  if (test::skipped_several)
    std::printf("SKIPPED: %d cases that need more CUDA devices than the %d here\n", test::skipped_several,
                device_count(DeviceType::cuda));
  if (test::failures_after_cases) std::printf("FAILED: %d findings after cases\n", test::failures_after_cases);
  if (test::no_cases) std::printf("FAILED: no test case matches the filters\n");
  std::printf("seed %llu (WEFT_TEST_SEED)\n", static_cast<unsigned long long>(test::test_seed()));
  return result || test::failures_after_cases || test::no_cases;
}
