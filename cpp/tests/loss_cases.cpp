// Random cases of the losses, their gradients, and the accuracies.
#include <functional>

#include "engine/loss_kernels.h"
#include "tests/cases.h"

namespace lanewise {
namespace {

constexpr float kEps = 1e-7f, kBelowOne = 1.0f - kEps;
constexpr float kLeastLogVariance = -13.815511f;  // of a variance of 1e-6

Rounded exp_of(Rounded x, double ulps) {
  return function([](double v) { return std::exp(v); }, x, ulps);
}
Rounded log_of(Rounded x, double ulps) {
  return function([](double v) { return std::log(v); }, x, ulps);
}
Rounded log1p_of(Rounded x, double ulps) {
  return function([](double v) { return std::log1p(v); }, x, ulps);
}
Rounded tanh_of(Rounded x, double ulps) {
  return function([](double v) { return std::tanh(v); }, x, ulps);
}
Rounded sigmoid_of(Rounded x, double ulps) {
  return function([](double v) { return v < 0 ? std::exp(v) / (1 + std::exp(v)) : 1 / (1 + std::exp(-v)); }, x, ulps);
}
Rounded power(Rounded x, Rounded g, double ulps) { return exp_of(g * log_of(larger(x, 0x1p-126), ulps), ulps); }
Rounded sign(Rounded d) { return d.v > 0 ? 1 : d.v < 0 ? -1 : d.may == kNan ? NAN : 0; }
Rounded clip(float p, float low, float high) { return std::clamp(p, low, high); }

// An elementwise loss: its value and its derivative at one prediction and target.
struct Element {
  const char* name;
  bool mean;
  Values pred, target;
  std::function<Rounded(float p, float t, const Params&a, double ulps)> loss, gradient;
};

Rounded smooth(float t, const Params& a) { return t * (1 - Rounded(a[0])) + 0.5 * Rounded(a[0]); }
Rounded margin(float p, float t) { return 1 - Rounded(t == 0 ? -1 : t) * p; }

Rounded bce(float x, float t, const Params& a, double u) {
  return Rounded(x > 0 ? x : 0) - x * smooth(t, a) + log1p_of(exp_of(-std::fabs(x), u), u + 1);
}
Rounded bce_slope(float x, float t, const Params& a, double u) { return sigmoid_of(x, u) - smooth(t, a); }
Rounded bce_probs(float p, float t, const Params& a, double u) {
  const Rounded q = clip(p, kEps, kBelowOne), y = smooth(t, a);
  return -(y * log_of(q, u) + (1 - y) * log_of(1 - q, u));
}
Rounded bce_probs_slope(float p, float t, const Params& a, double) {
  const Rounded y = smooth(t, a), q = p;
  return p < kEps || p > kBelowOne ? Rounded(0) : (1 - y) / (1 - q) - y / q;
}
template <bool Logits>
Rounded focal(float p, float t, const Params& a, double u, bool gradient) {
  const Rounded y = smooth(t, a), yes = Logits ? sigmoid_of(p, u) : p, no = Logits ? sigmoid_of(-p, u) : 1 - Rounded(p);
  const Rounded wrong = y * no + (1 - y) * yes, weight = y * a[2] + (1 - y) * a[3], gamma = a[1];
  const Rounded of = Logits ? bce(p, t, a, u) : bce_probs(p, t, a, u);
  if (!gradient) return weight * power(wrong, gamma, u) * of;
  Rounded slope = gamma * power(wrong, gamma - 1, u) * (1 - (y + y)) * of;
  if (Logits) slope = slope * yes * no;
  return weight * (power(wrong, gamma, u) * (Logits ? bce_slope(p, t, a, u) : bce_probs_slope(p, t, a, u)) + slope);
}

Rounded log_cosh(float p, float t, const Params&, double u) {
  const Rounded e = Rounded(p) - t, a = abs(e), h = tanh_of(e, u), square = h * h;
  const Rounded near = 0.5 * log1p_of(square / (1 - square), u + 1);
  const Rounded far = a + (log1p_of(exp_of(-(a + a), u), u + 1) - Rounded(std::log(2.0)).rounded());
  return less(a, 1, near, far);
}
Rounded huber(float p, float t, const Params& a, double) {
  const Rounded e = Rounded(p) - t, d = a[0];
  return less(d, abs(e), d * (abs(e) - 0.5 * d), 0.5 * e * e);
}
Rounded huber_slope(float p, float t, const Params& a, double) {
  const Rounded e = Rounded(p) - t;
  return less(a[0], abs(e), std::copysign(a[0], e.v), e);
}
Rounded log_mean(float p, bool log_input, double u) { return log_input ? Rounded(p) : log_of(std::max(p, kEps), u); }
Rounded by_input(float p, Rounded g, bool log_input) { return log_input ? g : p <= kEps ? Rounded(0) : g / p; }
Rounded tweedie(float p, float t, const Params& a, double u, bool gradient) {
  const bool log_input = a[1] != 0;
  const float below = 1 - a[0], above = below + 1;
  const Rounded l = log_mean(p, log_input, u), high = exp_of(above * l, u), low = exp_of(below * l, u);
  return gradient ? by_input(p, high - t * low, log_input) : high / above - t * low / below;
}
Rounded gamma_ratio(float p, float t, const Params& a, double u) {
  return a[0] != 0 ? t * exp_of(-p, u) : Rounded(t) / std::max(p, kEps);
}

using A = const Params&;
const Element kElements[] = {
    {"mse", true, Values::kAny, Values::kAny,
     [](float p, float t, A, double) {
       const Rounded d = Rounded(p) - t;
       return d * d;
     },
     [](float p, float t, A, double) {
       const Rounded d = Rounded(p) - t;
       return d + d;
     }},
    {"mae", true, Values::kAny, Values::kAny, [](float p, float t, A, double) { return abs(Rounded(p) - t); },
     [](float p, float t, A, double) { return sign(Rounded(p) - t); }},
    {"mape", true, Values::kAny, Values::kAny,
     [](float p, float t, A, double) { return abs(Rounded(p) - t) / std::max(std::fabs(t), kEps) * 100; },
     [](float p, float t, A, double) { return sign(Rounded(p) - t) * 100 / std::max(std::fabs(t), kEps); }},
    {"msle", true, Values::kAbove, Values::kAbove,
     [](float p, float t, A, double u) {
       const Rounded d = log1p_of(std::max(p, kEps), u) - log1p_of(std::max(t, kEps), u);
       return d * d;
     },
     [](float p, float t, A, double u) {
       const Rounded d = log1p_of(std::max(p, kEps), u) - log1p_of(std::max(t, kEps), u);
       return p <= kEps ? Rounded(0) : (d + d) / (Rounded(p) + 1);
     }},
    {"huber", true, Values::kAny, Values::kAny, huber, huber_slope},
    {"log_cosh", true, Values::kAny, Values::kAny, log_cosh,
     [](float p, float t, A, double u) { return tanh_of(Rounded(p) - t, u); }},
    {"poisson", true, Values::kAbove, Values::kAny,
     [](float p, float t, A, double u) { return p - t * log_of(Rounded(p) + kEps, u); },
     [](float p, float t, A, double) { return 1 - t / (Rounded(p) + kEps); }},
    {"quantile", true, Values::kAny, Values::kAny,
     [](float p, float t, A a, double) {
       const Rounded e = Rounded(t) - p;
       return e.v > 0 ? a[0] * e : (Rounded(a[0]) - 1) * e;
     },
     [](float p, float t, A a, double) {
       return t > p ? Rounded(-a[0]) : t < p ? 1 - Rounded(a[0]) : Rounded(t - p);
     }},  // 0, or NaN
    {"tweedie", true, Values::kAbove, Values::kAbove,
     [](float p, float t, A a, double u) { return tweedie(p, t, a, u, false); },
     [](float p, float t, A a, double u) { return tweedie(p, t, a, u, true); }},
    {"gamma", true, Values::kAbove, Values::kAbove,
     [](float p, float t, A a, double u) { return gamma_ratio(p, t, a, u) + log_mean(p, a[0] != 0, u); },
     [](float p, float t, A a, double u) { return by_input(p, 1 - gamma_ratio(p, t, a, u), a[0] != 0); }},
    {"kl_divergence", false, Values::kProbability, Values::kProbability,
     [](float p, float t, A, double u) {
       const Rounded y = clip(t, kEps, 1);
       return y * log_of(y / clip(p, kEps, 1), u);
     },
     [](float p, float t, A, double) { return p < kEps || p > 1 ? Rounded(0) : -(clip(t, kEps, 1) / p); }},
    {"hinge", true, Values::kAny, Values::kWhole, [](float p, float t, A, double) { return larger(margin(p, t), 0); },
     [](float p, float t, A, double) { return at_most(margin(p, t), 0, 0, t == 0 ? 1 : -t); }},
    {"squared_hinge", true, Values::kAny, Values::kWhole,
     [](float p, float t, A, double) {
       const Rounded m = larger(margin(p, t), 0);
       return m * m;
     },
     [](float p, float t, A, double) { return (t == 0 ? 2 : -2 * t) * larger(margin(p, t), 0); }},
    {"binary_crossentropy", true, Values::kAny, Values::kProbability, bce, bce_slope},
    {"binary_crossentropy_probs", true, Values::kProbability, Values::kProbability, bce_probs, bce_probs_slope},
    {"binary_focal_crossentropy", true, Values::kAny, Values::kProbability,
     [](float p, float t, A a, double u) { return focal<true>(p, t, a, u, false); },
     [](float p, float t, A a, double u) { return focal<true>(p, t, a, u, true); }},
    {"binary_focal_crossentropy_probs", true, Values::kProbability, Values::kProbability,
     [](float p, float t, A a, double u) { return focal<false>(p, t, a, u, false); },
     [](float p, float t, A a, double u) { return focal<false>(p, t, a, u, true); }},
};

Params draw(Cases& t, const std::string& name, int64_t cols) {
  Params a(kLeastParams, 0.0f);
  if (name == "huber") a[0] = t.uniform(0.1f, 2);
  if (name == "quantile") a[0] = t.uniform(0.05f, 0.95f);
  if (name == "tweedie") a[0] = t.uniform(1.1f, 1.9f), a[1] = t.coin();
  if (name == "gamma") a[0] = t.coin();
  if (name.find("crossentropy") != std::string::npos) a[0] = t.coin() ? 0 : t.uniform(0, 0.5f);
  if (name.rfind("binary_focal", 0) == 0) a[1] = t.coin() ? 2 : t.uniform(0, 3), a[2] = 1, a[3] = t.uniform(0, 1);
  if (name.rfind("categorical_focal", 0) == 0) {
    a[1] = t.coin() ? 2 : t.uniform(0, 3);
    a[2] = t.coin() ? static_cast<float>(cols) : 1;
    a.resize(3 + static_cast<size_t>(a[2]));
    for (size_t i = 3; i < a.size(); ++i) a[i] = t.uniform(0, 1);
  }
  a.resize(std::max(a.size(), kLeastParams));
  return a;
}

// What a gradient is multiplied by in row r.
struct Weights {
  Grid rows;
  float scale;
  explicit Weights(Cases& t, int64_t n)
      : rows(t.coin() ? t.in(1, n, Values::kProbability) : Grid{}), scale(t.uniform(0, 1)) {}
  Rounded at(int64_t r) const { return rows.p ? Rounded(scale) * rows[r] : Rounded(scale); }
};

// The losses that take a row as one thing: value and gradient of row r.
struct Row {
  const Grid &p, &t;
  int32_t label;
  int64_t r;
  const Params& a;
  double u;
  using Vector = std::vector<Rounded>;

  Rounded y(int64_t c) const { return t(r, c) * Rounded(1.0f - a[0]) + Rounded(a[0] / static_cast<float>(p.cols)); }
  Rounded total() const {
    return row_sum(p.cols, [&](int64_t c) { return Rounded(p(r, c)); });
  }
  double top() const {
    double best = -INFINITY;
    for (int64_t c = 0; c < p.cols; ++c) best = std::max(best, static_cast<double>(p(r, c)));
    return best;
  }
  Rounded q_clipped(Rounded q) const { return clamp(q, kEps, kBelowOne); }

  Rounded loss(const std::string& name, Vector* gradient) const {
    if (name == "cosine_similarity") return cosine(gradient);
    if (name == "categorical_hinge") return hinge(gradient);
    return name.find("_probs") != std::string::npos ? probs(name, gradient) : logits(name, gradient);
  }

  Rounded dot(const Grid& x, const Grid& z) const {
    return row_sum(p.cols, [&](int64_t c) { return Rounded(x(r, c)) * z(r, c); });
  }
  Rounded cosine(Vector* gradient) const {
    const Rounded from = larger(sqrt(dot(p, p)), kEps), to = larger(sqrt(dot(t, t)), kEps), of = dot(p, t) / to / from;
    const Rounded along = less(kEps, from, of / from, 0);
    for (int64_t c = 0; gradient && c < p.cols; ++c)
      gradient->push_back((along * p(r, c) - Rounded(t(r, c)) / to) / from);
    return -of;
  }
  Rounded hinge(Vector* gradient) const {
    int64_t best = 0;
    const auto other = [&](int64_t c) { return (1.0f - t(r, c)) * p(r, c); };
    for (int64_t c = 1; c < p.cols; ++c)
      if (other(c) > other(best)) best = c;
    const Rounded gap = Rounded(other(best)) - dot(p, t) + 1;
    for (int64_t c = 0; gradient && c < p.cols; ++c) {
      const Rounded at = c == best ? (1 - Rounded(t(r, c))) - t(r, c) : Rounded(-t(r, c));
      gradient->push_back(at_most(gap, 0, 0 * Rounded(t(r, c)), at));
    }
    return larger(gap, 0);
  }
  Rounded logits(const std::string& name, Vector* gradient) const {
    const double most = top();
    const auto below = [&](int64_t c) { return Rounded(p(r, c)) - most; };
    const Rounded total = row_sum(p.cols, [&](int64_t c) { return exp_of(below(c), u); }), log_total = log_of(total, u);
    const auto softmax = [&](int64_t c) { return exp_of(below(c), u) / total; };
    if (name[0] == 's') {
      for (int64_t c = 0; gradient && c < p.cols; ++c) gradient->push_back(c == label ? softmax(c) - 1 : softmax(c));
      return log_total - below(label);
    }
    if (name == "categorical_crossentropy") {
      const Rounded mass = row_sum(p.cols, [&](int64_t c) { return y(c); });
      for (int64_t c = 0; gradient && c < p.cols; ++c) gradient->push_back(softmax(c) * mass - y(c));
      return row_sum(p.cols, [&](int64_t c) { return y(c) * (log_total - below(c)); });
    }
    const auto log_q = [&](int64_t c) { return below(c) - log_total; };
    return focal([&](int64_t c) { return exp_of(log_q(c), u); }, log_q, true, gradient);
  }
  Rounded probs(const std::string& name, Vector* gradient) const {
    const Rounded all = total();
    const auto raw = [&](int64_t c) { return Rounded(p(r, c)) / all; };
    const auto open = [&](int64_t c, Rounded x) {  // x where the quotient is not clipped, else 0
      const Rounded q = raw(c);
      return less(q, kEps, 0, less(kBelowOne, q, 0, x));
    };
    if (name[0] == 's') {
      const Rounded q = raw(label);
      for (int64_t c = 0; gradient && c < p.cols; ++c)
        gradient->push_back(open(label, c == label ? (1 - 1 / q) / all : 1 / all));
      return -log_of(q_clipped(q), u);
    }
    if (name == "categorical_crossentropy_probs") {
      const auto g = [&](int64_t c) { return open(c, -(y(c) / raw(c))); };
      const Rounded product = row_sum(p.cols, [&](int64_t c) { return g(c) * raw(c); });
      for (int64_t c = 0; gradient && c < p.cols; ++c) gradient->push_back((g(c) - product) / all);
      return -row_sum(p.cols, [&](int64_t c) { return y(c) * log_of(q_clipped(raw(c)), u); });
    }
    const auto q = [&](int64_t c) { return q_clipped(raw(c)); };
    const Rounded loss = focal(
        q, [&](int64_t c) { return log_of(q(c), u); }, false, gradient);
    for (int64_t c = 0; gradient && c < p.cols; ++c)
      (*gradient)[static_cast<size_t>(c)] = (*gradient)[static_cast<size_t>(c)] / all;
    return loss;
  }
  template <class Q, class L>
  Rounded focal(Q q, L log_q, bool from_logits, Vector* gradient) const {
    const Rounded gamma = a[1];
    const auto weight = [&](int64_t c) { return a[a[2] != 1 ? static_cast<size_t>(3 + c) : 3] * y(c); };
    const auto h = [&](int64_t c) {
      const Rounded rest = 1 - q(c), slope = gamma * power(rest, gamma - 1, u) * q(c) * log_q(c);
      const Rounded at = weight(c) * (slope - power(rest, gamma, u));
      if (from_logits) return at;
      const Rounded raw = Rounded(p(r, c)) / total();
      return less(raw, kEps, 0, less(kBelowOne, raw, 0, at));
    };
    if (gradient) {
      const Rounded all = row_sum(p.cols, h);
      for (int64_t c = 0; c < p.cols; ++c) gradient->push_back(from_logits ? h(c) - q(c) * all : h(c) / q(c) - all);
    }
    return -row_sum(p.cols, [&](int64_t c) { return weight(c) * power(1 - q(c), gamma, u) * log_q(c); });
  }
};

void elementwise(Cases& t, const Element& e) {
  const LossKernel& kernel = loss_kernel(e.name);
  for (const bool backward : {false, true})
    t.of((std::string(e.name) + (backward ? "_backward" : "_forward")).c_str(), [&] {
      const int64_t way = t.below(8);  // of one column the rows are the lanes
      const int64_t rows = way == 0 ? 1 + t.below(Cases::kTails) : way == 1 ? 1 + t.below(70) : t.few();
      const int64_t cols = way == 0 ? 1 : t.coin() ? t.few() : t.length();
      const Params a = draw(t, e.name, cols);
      const Grid p = t.in(rows, cols, e.pred), y = t.in(rows, cols, e.target);
      const auto count = static_cast<double>(e.mean ? cols : 1);
      if (backward) {
        const Weights weights(t, rows);
        const Grid dp = t.out(rows, cols);
        kernel.gradient(t.k, p.p, y.p, a.data(), weights.rows.p, weights.scale, dp.p, rows, cols);
        for (int64_t i = 0; i < p.size(); ++i)
          t.holds(dp[i], e.gradient(p[i], y[i], a, t.ulps()) * (weights.at(i / cols) / count));
        return;
      }
      const Grid loss = t.out(1, rows);
      kernel.rows(t.k, p.p, y.p, a.data(), loss.p, rows, cols);
      for (int64_t r = 0; r < rows; ++r) {
        const auto at = [&](int64_t c) { return e.loss(p(r, c), y(r, c), a, t.ulps()); };
        t.holds(loss[r], cols == 1 ? at(0) : row_sum(cols, at) / count);
      }
    });
}

void whole_rows(Cases& t, const std::string& name) {
  const LossKernel& kernel = loss_kernel(name);
  const bool probs = name.find("_probs") != std::string::npos, focal = name.find("focal") != std::string::npos;
  for (const bool backward : {false, true})
    t.of((name + (backward ? "_backward" : "_forward")).c_str(), [&] {
      // a focal gradient's reference takes cols^2 from probabilities
      const int64_t rows = t.few(), cols = t.length(focal ? 40 : 0);
      const Params a = draw(t, name, cols);
      const Grid p = t.in(rows, cols, probs ? Values::kProbability : Values::kAny);
      const Grid y = kernel.sparse() ? Grid{} : t.in(rows, cols, Values::kProbability);
      const int32_t* labels = kernel.sparse() ? t.labels(rows, cols) : nullptr;
      const void* target = kernel.sparse() ? static_cast<const void*>(labels) : y.p;
      const Weights weights(t, rows);
      const Grid out = backward ? t.out(rows, cols) : t.out(1, rows);
      if (backward)
        kernel.gradient(t.k, p.p, target, a.data(), weights.rows.p, weights.scale, out.p, rows, cols);
      else
        kernel.rows(t.k, p.p, target, a.data(), out.p, rows, cols);
      for (int64_t r = 0; r < rows; ++r) {
        const Row row{p, y, labels ? labels[r] : 0, r, a, t.ulps()};
        Row::Vector gradient;
        const Rounded loss = row.loss(name, backward ? &gradient : nullptr);
        if (!backward) t.holds(out[r], loss);
        for (int64_t c = 0; backward && c < cols; ++c) {
          const Rounded g = gradient[static_cast<size_t>(c)], weighted = g * weights.at(r);
          const bool chosen =
              g.v == 0 && ((labels && probs) || name == "categorical_hinge");  // 0 of any weight, if it was clipped
          t.holds(out(r, c), chosen ? either(g, weighted) : weighted);
        }
      }
    });
}

void gaussian(Cases& t) {
  for (const bool backward : {false, true})
    t.of(backward ? "gaussian_nll_backward" : "gaussian_nll_forward", [&] {
      const int64_t rows = t.coin() ? t.few() : 1 + t.below(70), d = t.coin() ? 1 : t.length();
      const Grid p = t.in(rows, 2 * d, Values::kAny), y = t.in(rows, d, Values::kAny);
      const Params a(kLeastParams, 0.0f);
      const Weights weights(t, rows);
      const Grid out = backward ? t.out(rows, 2 * d) : t.out(1, rows);
      const auto count = static_cast<double>(d);
      if (backward)
        t.k.gaussian_nll_backward(p.p, y.p, a.data(), weights.rows.p, weights.scale, out.p, rows, 2 * d);
      else
        t.k.gaussian_nll_forward(p.p, y.p, a.data(), out.p, rows, 2 * d);
      for (int64_t r = 0; r < rows; ++r) {
        const auto error = [&](int64_t c) { return Rounded(p(r, c)) - y(r, c); };
        const auto log_variance = [&](int64_t c) { return larger(p(r, d + c), kLeastLogVariance); };
        const auto precision = [&](int64_t c) { return exp_of(-log_variance(c), t.ulps()); };
        const auto square = [&](int64_t c) { return error(c) * error(c) * precision(c); };
        const auto loss = [&](int64_t c) { return 0.5 * (square(c) + log_variance(c)); };
        if (!backward) t.holds(out[r], d == 1 ? loss(0) : row_sum(d, loss) / count);
        for (int64_t c = 0; backward && c < d; ++c) {
          t.holds(out(r, c), error(c) * precision(c) * (weights.at(r) / count));
          t.holds(out(r, d + c), 0.5 * (1 - square(c)) * (weights.at(r) / count));
        }
      }
    });
}

// Counts: exact.
void accuracies(Cases& t) {
  const auto first_largest = [](const Grid& x, int64_t r) {
    int64_t best = 0;
    for (int64_t c = 1; c < x.cols; ++c)
      if (x(r, c) > x(r, best)) best = c;
    return best;
  };
  const auto among = [](const Grid& p, int64_t r, int64_t at, float k) {
    int64_t larger = p(r, at) == p(r, at) ? 0 : p.cols + 5;  // NaN is never among them
    for (int64_t c = 0; c < p.cols; ++c) larger += p(r, c) > p(r, at);
    return static_cast<float>(larger) < k ? 1.0f : 0.0f;
  };
  for (const char* name : {"accuracy", "binary_accuracy", "categorical_accuracy", "top_k_categorical_accuracy",
                           "sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy"}) {
    const LossKernel& kernel = loss_kernel(name);
    const std::string kind = name;
    t.of(name, [&] {
      const int64_t rows = t.few(), cols = t.length();
      Params a(kLeastParams, 0.0f);
      a[0] = kind[0] == 'b' ? t.uniform(-1, 1) : static_cast<float>(1 + t.below(5));
      const Grid p = t.in(rows, cols, t.coin() ? Values::kWhole : Values::kAny);  // with equal ones
      const Grid y = kernel.sparse() ? Grid{} : t.in(rows, cols, Values::kWhole);
      const int32_t* labels = kernel.sparse() ? t.labels(rows, cols) : nullptr;
      const Grid out = t.out(1, rows);
      kernel.rows(t.k, p.p, labels ? static_cast<const void*>(labels) : y.p, a.data(), out.p, rows, cols);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t at = labels ? labels[r] : first_largest(y, r);
        if (kind.find("top_k") != std::string::npos) {
          t.equals(out[r], among(p, r, at, a[0]));
        } else if (kind.find("categorical") != std::string::npos) {
          t.equals(out[r], first_largest(p, r) == at ? 1.0f : 0.0f);
        } else {
          int64_t right = 0;
          for (int64_t c = 0; c < cols; ++c)
            right += (kind[0] == 'b' ? (p(r, c) > a[0] ? 1.0f : 0.0f) : p(r, c)) == y(r, c);
          t.equals(out[r], static_cast<float>(right) / static_cast<float>(cols));
        }
      }
    });
  }
}

}  // namespace

void loss_cases(Cases& cases) {
  for (const Element& e : kElements) elementwise(cases, e);
  for (const char* name :
       {"cosine_similarity", "categorical_hinge", "categorical_crossentropy", "categorical_focal_crossentropy",
        "sparse_categorical_crossentropy", "categorical_crossentropy_probs", "categorical_focal_crossentropy_probs",
        "sparse_categorical_crossentropy_probs"})
    whole_rows(cases, name);
  gaussian(cases);
  accuracies(cases);
}

}  // namespace lanewise
