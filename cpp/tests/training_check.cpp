// A small training through the engine, without Python.
#include <algorithm>
#include <cmath>

#include "engine/network.h"
#include "engine/team.h"
#include "tests/check.h"

namespace lanewise {

uint64_t check_training(const KernelTable& table) {
  auto graph = std::make_shared<Graph>();
  std::vector<VariablePtr> variables;
  int v = graph->input({37});
  auto dense = [&](int64_t in, int64_t out) {
    auto w = std::make_shared<Variable>(std::vector<int64_t>{in, out});
    Floats values = random_floats(in * out, 0.3f);
    w->from_row_major(values.data(), w->data());
    auto b = std::make_shared<Variable>(std::vector<int64_t>{out});
    v = graph->add("matmul", {v}, {w}, {});
    v = graph->add("bias_add", {v}, {b}, {});
    variables.push_back(w);
    variables.push_back(b);
  };
  dense(37, 70);
  v = graph->add("relu", {v}, {}, {});
  v = graph->add("dropout", {v}, {}, {{"rate", 0.25}});
  dense(70, 33);
  v = graph->add("tanh", {v}, {}, {});
  v = graph->add("activity_penalty", {v}, {}, {{"l1", 1e-4}, {"l2", 1e-3}});
  dense(33, 5);
  const int logits = v;
  v = graph->add("softmax", {v}, {}, {});
  const int64_t n = 200;
  const Floats x = random_floats(n * 37);
  std::vector<int32_t> y;
  for (int64_t i = 0; i < n; ++i) y.push_back(static_cast<int32_t>((i * 3) % 5));
  Data data;
  data.inputs.push_back({reinterpret_cast<const char*>(x.data()), DType::kFloat32, n, 37, 37 * 4, 4});
  data.targets.push_back({reinterpret_cast<const char*>(y.data()), DType::kInt32, n, 1, 4, 4});
  Floats start;
  for (const auto& w : variables) start.insert(start.end(), w->data(), w->data() + w->size());
  uint64_t first = 0;
  for (int threads : {1, 2, 3, 7}) {
    for (bool fused : {true, false}) {
      size_t at = 0;
      for (const auto& w : variables)
        std::copy_n(&start[at], w->size(), w->data()), at += static_cast<size_t>(w->size());
      Network network(graph, {v}, {{"sparse_categorical_crossentropy", logits, Params(kLeastParams), 1.0f, 0}},
                      {{"sparse_categorical_accuracy", v, Params(kLeastParams), 0, false}}, variables,
                      {{variables[0], {0, 1e-4f, 1e-3f}}}, {{variables[2], {0, 0.5f, 1.5f, 0.75f, false}}}, fused);
      Optimizer optimizer("adam", {{"learning_rate", 0.01}});
      set_num_threads(threads);
      std::vector<double> sums;
      for (int epoch = 0; epoch < 5; ++epoch) sums = network.train(data, 0, n, 32, optimizer, 7);
      Floats predictions(static_cast<size_t>(n * 5));
      network.predict(data.inputs, 0, n, {predictions.data()});
      Hash hash;
      for (const auto& w : variables) hash.add(w->data(), static_cast<size_t>(w->size()));
      hash.add(predictions);
      const Floats losses = {static_cast<float>(sums[1]), static_cast<float>(sums[3])};
      hash.add(losses);
      if (first == 0) first = hash.value;
      expect(hash.value == first, table.isa, fused ? "training, fused" : "training, unfused", threads, 0, 0);
      expect(sums[1] / sums[0] < 1.6 && std::isfinite(sums[1]), table.isa, "training loss", threads, sums[1] / sums[0],
             1.6);
    }
  }
  return first;
}

}  // namespace lanewise
