#include "weft/parallel/apply.h"

#include "weft/parallel/worker.h"

namespace weft::parallel::detail {

ApplyState::ApplyState(std::vector<Device> devices, std::vector<int> ranks_, const Context& context_,
                       const ApplyOptions& options_)
    : ranks(std::move(ranks_)),
      context(context_),
      options(options_),
      group(std::move(devices), {.deadline = options_.deadline, .order = options_.order}),
      generators(ranks.size(), context_.generator) {
  if (Worker::is_current() && ranks.size() > 1)
    group.forbid("in a worker the ranks of a call run one after the other; make the call outside");
}

Context ApplyState::context_of(size_t i) const {
  Context mine = context;
  if (!options.first_samples.empty())
    mine.generator.set_first_sample(context.generator.first_sample() + options.first_samples[i]);
  return mine;
}

void ApplyState::finish(size_t i) {
  generators[i] = default_generator();
  if (options.sync) current_stream(group.devices()[i]).synchronize();
}

void ApplyState::merge_generators() const {
  for (size_t i = 1; i < generators.size(); ++i)
    WEFT_CHECK(Error, generators[i].calls() == generators[0].calls() && generators[i].seed() == generators[0].seed(),
               "parallel: rank 0 on ", group.devices()[0], " made ", generators[0].calls() - context.generator.calls(),
               " random calls, rank ", i, " on ", group.devices()[i], " ",
               generators[i].calls() - context.generator.calls(),
               "; every rank must draw the same random tensors in the same order");
  if (generators.empty()) return;
  Generator next = generators[0];
  next.set_first_sample(context.generator.first_sample());
  default_generator() = next;
}

}  // namespace weft::parallel::detail
