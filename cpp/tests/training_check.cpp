// Small trainings through the engine, without Python.
#include <algorithm>
#include <cmath>

#include "engine/network.h"
#include "engine/team.h"
#include "tests/check.h"

namespace lanewise {
namespace {

constexpr int64_t kRows = 200, kColumns = 37, kTime = 6, kWords = 11, kClasses = 5;

// y has as many rows of each class and nothing to do with x: who has learnt nothing errs by this at the least.
const double kChance = std::log(static_cast<double>(kClasses));

// A network under construction, with its data.
struct Trial {
  const int64_t rows;
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
  std::vector<VariablePtr> variables, moving;  // moving: of batch norms
  std::vector<std::pair<VariablePtr, Regularizer>> regularizers;
  std::vector<std::pair<VariablePtr, Constraint>> constraints;
  Floats x;
  std::vector<int32_t> words, y;
  int logits = 0, out = 0;

  explicit Trial(int64_t rows_ = kRows) : rows(rows_), x(random_floats(rows_ * kColumns)) {}

  VariablePtr variable(const std::vector<int64_t>& shape, float first, float scale) {
    auto v = std::make_shared<Variable>(shape);
    Floats values = random_floats(v->size(), scale);
    for (float& value : values) value += first;
    v->from_row_major(values.data(), v->data());
    return v;
  }
  VariablePtr trained(const std::vector<int64_t>& shape, float first = 0, float scale = 0.3f) {
    variables.push_back(variable(shape, first, scale));
    return variables.back();
  }
  int add(const char* op, std::vector<int> inputs, std::vector<VariablePtr> of = {},
          const std::map<std::string, double>& attributes = {}) {
    return graph->add(op, inputs, of, attributes);
  }
  int dense(int v, int64_t in, int64_t units) {
    v = add("matmul", {v}, {trained({in, units})});
    return add("bias_add", {v}, {trained({units}, 0, 0)});
  }
  int batch_norm(int v, int64_t width) {
    const auto gamma = trained({width}, 1), beta = trained({width});
    moving.push_back(variable({width}, 0, 0)), moving.push_back(variable({width}, 1, 0));
    return add("batch_norm", {v}, {gamma, beta, moving[moving.size() - 2], moving.back()},
               {{"epsilon", 1e-3}, {"momentum", 0.9}});
  }
  void end(int v) {
    logits = v;
    out = add("softmax", {v});
    for (int64_t i = 0; i < rows; ++i) y.push_back(static_cast<int32_t>((i * 3) % kClasses));
  }
  Data data() const {
    Data d;
    d.inputs.push_back({reinterpret_cast<const char*>(x.data()), DType::kFloat32, rows, kColumns, kColumns * 4, 4});
    if (!words.empty())
      d.inputs.push_back({reinterpret_cast<const char*>(words.data()), DType::kInt32, rows, kTime, kTime * 4, 4});
    d.targets.push_back({reinterpret_cast<const char*>(y.data()), DType::kInt32, rows, 1, 4, 4});
    return d;
  }
};

// Dense layers, dropout, penalties, a constraint.
void chain(Trial& t) {
  int v = t.dense(t.graph->input({kColumns}), kColumns, 70);
  v = t.add("dropout", {t.add("relu", {v})}, {}, {{"rate", 0.25}});
  v = t.add("tanh", {t.dense(v, 70, 33)});
  v = t.add("activity_penalty", {v}, {}, {{"l1", 1e-4}, {"l2", 1e-3}});
  t.end(t.dense(v, 33, kClasses));
  t.regularizers = {{t.variables[0], {0, 1e-4f, 1e-3f}}};
  t.constraints = {{t.variables[2], {0, 0.5f, 1.5f, 0.75f, false}}};
}

// Many rows, whose threads share rows from layer to layer without a barrier but for the tails, on two threads.
void tall(Trial& t) {
  int v = t.dense(t.graph->input({kColumns}), kColumns, 126);
  for (int layer = 0; layer < 2; ++layer) v = t.dense(t.add("relu", {v}), 126, 126);
  t.end(t.dense(t.add("tanh", {v}), 126, kClasses));
  for (size_t i = 0; i < t.y.size(); ++i)  // too many to learn by heart
    t.y[i] = static_cast<int32_t>((t.x[i * kColumns] + 2) * 1.249f);
}

// Two inputs, one of them ids; every kind of normalisation, pooling, merging and noise; a layer that is used twice.
void branches(Trial& t) {
  const int x = t.graph->input({kColumns}), ids = t.graph->input({kTime});
  int h = t.add("gelu", {t.batch_norm(t.dense(x, kColumns, 48), 48)});
  h = t.add("gaussian_noise", {h}, {}, {{"stddev", 0.1}});
  const VariablePtr shared = t.trained({48, 48}, 0, 0.2f);
  const int once = t.add("silu", {t.add("matmul", {h}, {shared})});
  h = t.add("add", {h, t.add("matmul", {once}, {shared})});
  h = t.batch_norm(h, 48);  // one variable after the other: compilers differ in which argument they make first
  h = t.add("prelu", {h}, {t.trained({48}, 0.2f, 0.05f)});
  int e = t.add("embedding", {ids}, {t.trained({kWords, 48}, 0, 0.5f)});
  e = t.add("layer_norm", {e}, {t.trained({48}, 1), t.trained({48})}, {{"epsilon", 1e-3}});
  e = t.add("matmul", {e}, {t.trained({48, 48}, 0, 0.2f)});
  e = t.add("tanh", {t.add("bias_add", {e}, {t.trained({48})})});
  const int mean = t.add("average_pool", {e}), most = t.add("max_pool", {e});
  int both = t.add("multiply", {mean, h});
  both =
      t.add("maximum", {both, t.add("rms_norm", {most}, {t.trained({48}, 1), t.trained({48})}, {{"epsilon", 1e-6}})});
  both = t.add("concatenate", {both, t.add("unit_norm", {h}, {}, {{"epsilon", 1e-12}})}, {}, {{"axis", 0}});
  both = t.add("alpha_dropout", {both}, {}, {{"rate", 0.1}});
  t.end(t.dense(both, 96, kClasses));
  for (int64_t i = 0; i < t.rows * kTime; ++i) t.words.push_back(static_cast<int32_t>((i * i + i / 7) % kWords));
}

void train(const Trial& t, const char* optimizer_name, const KernelTable& table, Hash& all) {
  const Data data = t.data();
  std::vector<VariablePtr> everything = t.variables;
  everything.insert(everything.end(), t.moving.begin(), t.moving.end());
  Floats start;
  for (const auto& w : everything) start.insert(start.end(), w->data(), w->data() + w->size());
  uint64_t first = 0;
  const int64_t most = t.rows > kRows ? t.rows : 128;  // rows of a batch
  for (int threads : {1, 2, 3, 7}) {
    for (bool fused : {true, false}) {
      size_t at = 0;
      for (const auto& w : everything)
        std::copy_n(&start[at], w->size(), w->data()), at += static_cast<size_t>(w->size());
      Network network(t.graph, {t.out}, {{"sparse_categorical_crossentropy", t.logits, Params(kLeastParams), 1.0f, 0}},
                      {{"sparse_categorical_accuracy", t.out, Params(kLeastParams), 0, false}}, t.variables,
                      t.regularizers, t.constraints, fused);
      Optimizer optimizer(optimizer_name, {{"learning_rate", 0.01}});
      set_num_threads(threads);
      set_always_team(true);  // not only where it is measured to pay
      std::vector<double> sums;
      const int epochs = t.rows > kRows ? 2 : 6;
      for (int epoch = 1; epoch <= epochs; ++epoch)  // threads share columns of small batches, rows of larger ones
        sums = network.train(data, 0, t.rows, epoch < epochs ? 32 : most, optimizer, 7);
      Floats predictions(static_cast<size_t>(t.rows * kClasses));
      float* const out = predictions.data();
      network.predict(data.inputs, 0, t.rows, {&out, 1});
      set_always_team(false);
      Hash hash;
      for (const auto& w : everything) hash.add(w->data(), static_cast<size_t>(w->size()));
      hash.add(predictions);
      const Floats losses = {static_cast<float>(sums[1]), static_cast<float>(sums[3])};
      hash.add(losses);
      if (first == 0) first = hash.value;
      expect(hash.value == first, table.isa, fused ? "training, fused" : "training, unfused", threads, 0, 0);
      const double loss = sums[1] / sums[0];
      expect(loss < kChance, table.isa, "training loss", threads, loss, kChance);
    }
  }
  all.value = (all.value ^ first) * 1099511628211ull;
}

}  // namespace

uint64_t check_training(const KernelTable& table) {
  Hash all;
  Trial first, second, third(512);
  chain(first);
  train(first, "adam", table, all);
  branches(second);
  train(second, "rmsprop", table, all);
  tall(third);
  train(third, "adam", table, all);
  return all.value;
}

}  // namespace lanewise
