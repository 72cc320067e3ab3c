// Random cases of one step of every optimizer, from any state.
#include <functional>

#include "tests/cases.h"

namespace lanewise {
namespace {

// A moment below the smallest normal number becomes zero.
Rounded flush(Rounded x) {
  if (std::fabs(x.v) - x.e < 0x1p-126) x.e += 0x1p-126;
  return x;
}

// One weight with its gradient and slots; step(...) gives the new weight and slots.
struct State {
  Rounded w, g, s[3];
};
using Step = std::function<State(State, const OptimizerArgs&, double ulps)>;

Rounded decayed(const State& x, const OptimizerArgs& a) { return a.decay == 0 ? x.w : x.w - a.decay * x.w; }
void moments(State& x, const OptimizerArgs& a) {
  x.s[0] = flush((x.g - x.s[0]) * a.rate1 + x.s[0]);
  x.s[1] = flush((x.g * x.g - x.s[1]) * a.rate2 + x.s[1]);
}
Rounded power(Rounded s, float p, double ulps) {
  if (p == 0.5f) return sqrt(s);
  if (p == 0) return 1;
  const Rounded log = function([](double v) { return std::log(v); }, s, ulps);
  return function([](double v) { return std::exp(v); }, p * log, ulps);
}

State sgd(State x, const OptimizerArgs& a, double) {
  const Rounded w = decayed(x, a), step = a.lr * x.g;
  if (a.beta1 == 0) return {w - step, x.g, {x.s[0], x.s[1], x.s[2]}};
  x.s[0] = flush(a.beta1 * x.s[0] - step);
  x.w = w + (a.nesterov ? a.beta1 * x.s[0] - step : x.s[0]);
  return x;
}
State adam(State x, const OptimizerArgs& a, double) {
  const Rounded w = decayed(x, a);
  moments(x, a);
  x.w = w - a.lr * x.s[0] / (sqrt(x.s[1]) + a.epsilon);
  return x;
}
State amsgrad(State x, const OptimizerArgs& a, double) {
  const Rounded w = decayed(x, a);
  moments(x, a);
  x.s[2] = larger(flush(x.s[2]), x.s[1]);
  x.w = w - a.lr * x.s[0] / (sqrt(x.s[2]) + a.epsilon);
  return x;
}
State nadam(State x, const OptimizerArgs& a, double) {
  const Rounded w = decayed(x, a);
  moments(x, a);
  x.w = w - (a.lr_mean * x.s[0] + a.lr * x.g) / (a.scale * sqrt(x.s[1]) + a.epsilon);
  return x;
}
State adamax(State x, const OptimizerArgs& a, double) {
  const Rounded w = decayed(x, a);
  x.s[0] = flush((x.g - x.s[0]) * a.rate1 + x.s[0]);
  x.s[1] = larger(flush(a.beta2 * x.s[1]), abs(x.g));
  x.w = w - a.lr * x.s[0] / (x.s[1] + a.epsilon);
  return x;
}
State rmsprop(State x, const OptimizerArgs& a, double) {
  const Rounded w = decayed(x, a);
  x.s[0] = flush(a.beta2 * x.s[0] + a.rate2 * (x.g * x.g));
  Rounded spread = x.s[0];
  if (a.centered) {
    x.s[1] = flush(a.beta2 * x.s[1] + a.rate2 * x.g);
    spread = spread - x.s[1] * x.s[1];
  }
  Rounded step = a.lr * x.g / sqrt(spread + a.epsilon);
  if (a.beta1 != 0) step = x.s[a.centered ? 2 : 1] = flush(a.beta1 * x.s[a.centered ? 2 : 1] + step);
  x.w = w - step;
  return x;
}
State adagrad(State x, const OptimizerArgs& a, double) {
  const Rounded w = decayed(x, a);
  x.s[0] = flush(x.g * x.g + x.s[0]);
  x.w = w - a.lr * x.g / sqrt(x.s[0] + a.epsilon);
  return x;
}
State adadelta(State x, const OptimizerArgs& a, double) {
  const Rounded w = decayed(x, a);
  x.s[0] = flush(a.beta2 * x.s[0] + a.rate2 * (x.g * x.g));
  const Rounded d = sqrt(x.s[1] + a.epsilon) * x.g / sqrt(x.s[0] + a.epsilon);
  x.s[1] = flush(a.beta2 * x.s[1] + a.rate2 * (d * d));
  x.w = w - a.lr * d;
  return x;
}
State ftrl(State x, const OptimizerArgs& a, double ulps) {
  const Rounded w = decayed(x, a), before = x.s[0];
  x.s[0] = flush(x.g * x.g + before);
  const Rounded p = power(x.s[0], a.power, ulps), sigma = (p - power(before, a.power, ulps)) / a.lr;
  x.s[1] = flush(x.s[1] + (a.shrinkage * w + x.g - sigma * w));
  x.w = (clamp(x.s[1], -a.l1, a.l1) - x.s[1]) / (p / a.lr + a.l2);
  return x;
}
State lion(State x, const OptimizerArgs& a, double) {
  const Rounded w = decayed(x, a), c = a.beta1 * x.s[0] + a.rate1 * x.g;
  const Rounded none = c.finite() ? Rounded(0).with(c.may & kNan) : NAN, sign = less(0, c, 1, less(c, 0, -1, none));
  x.s[0] = flush(a.beta2 * x.s[0] + a.rate2 * x.g);
  x.w = w - a.lr * sign;
  return x;
}

OptimizerArgs draw(Cases& t, const std::string& name) {
  OptimizerArgs a{};
  a.lr = t.uniform(0.001f, 0.1f), a.lr_mean = t.uniform(0.001f, 0.1f), a.scale = t.uniform(1, 3);
  a.beta1 = t.coin() && (name == "sgd" || name == "rmsprop") ? 0 : t.uniform(0.5f, 0.99f);
  a.beta2 = t.uniform(0.5f, 0.999f), a.rate1 = t.uniform(0.01f, 0.5f), a.rate2 = t.uniform(0.001f, 0.5f);
  a.epsilon = t.coin() ? 1e-7f : 1e-3f, a.decay = t.coin() ? 0 : t.uniform(0, 0.1f);
  a.power = t.coin() ? 0.5f : t.coin() ? 0 : t.uniform(0.1f, 1);
  a.l1 = t.uniform(0, 0.5f), a.l2 = t.uniform(0, 0.5f), a.shrinkage = t.coin() ? 0 : t.uniform(0, 0.2f);
  a.nesterov = t.coin(), a.centered = t.coin();
  return a;
}

}  // namespace

void optimizer_cases(Cases& t) {
  using T = KernelTable;
  const struct {
    const char* name;
    void (*T::*kernel)(float*, const float*, float* const*, int64_t, const OptimizerArgs&);
    Step step;
    Values slots[3];
  } rows[] = {
      {"sgd", &T::sgd_step, sgd, {Values::kAny, Values::kAny, Values::kAny}},
      {"adam", &T::adam_step, adam, {Values::kAny, Values::kAbove, Values::kAny}},
      {"rmsprop", &T::rmsprop_step, rmsprop, {Values::kAbove, Values::kTiny, Values::kAny}},
      {"amsgrad", &T::amsgrad_step, amsgrad, {Values::kAny, Values::kAbove, Values::kAbove}},
      {"adamax", &T::adamax_step, adamax, {Values::kAny, Values::kAbove, Values::kAny}},
      {"nadam", &T::nadam_step, nadam, {Values::kAny, Values::kAbove, Values::kAny}},
      {"adagrad", &T::adagrad_step, adagrad, {Values::kAbove, Values::kAny, Values::kAny}},
      {"adadelta", &T::adadelta_step, adadelta, {Values::kAbove, Values::kAbove, Values::kAny}},
      {"ftrl", &T::ftrl_step, ftrl, {Values::kAbove, Values::kPlain, Values::kAny}},
      {"lion", &T::lion_step, lion, {Values::kAny, Values::kAny, Values::kAny}},
  };
  for (const auto& row : rows)
    t.of((std::string(row.name) + "_step").c_str(), [&] {
      const int64_t n = t.length();
      const OptimizerArgs a = draw(t, row.name);
      const Grid w = t.inout(1, n, Values::kAny), g = t.in(1, n, Values::kAny);
      Grid slots[3];
      float* pointers[3];
      for (int s = 0; s < 3; ++s) slots[s] = t.inout(1, n, row.slots[s]), pointers[s] = slots[s].p;
      std::vector<State> want;
      for (int64_t i = 0; i < n; ++i)
        want.push_back(row.step({w[i], g[i], {slots[0][i], slots[1][i], slots[2][i]}}, a, t.ulps()));
      (t.k.*row.kernel)(w.p, g.p, pointers, n, a);
      for (int64_t i = 0; i < n; ++i) {
        const State& x = want[static_cast<size_t>(i)];
        t.holds(w[i], x.w);
        for (int s = 0; s < 3; ++s) t.holds(slots[s][i], x.s[s]);
      }
    });
  t.of("average_step", [&] {
    const int64_t n = t.length();
    const Grid w = t.in(1, n, Values::kAny), average = t.inout(1, n, Values::kAny);
    const float momentum = t.uniform(0, 1), rate = t.uniform(0, 1);
    const Floats was(average.p, average.p + n);
    t.k.average_step(w.p, average.p, momentum, rate, n);
    for (int64_t i = 0; i < n; ++i)
      t.holds(average[i], flush(Rounded(momentum) * was[static_cast<size_t>(i)] + Rounded(rate) * w[i]));
  });
}

}  // namespace lanewise
