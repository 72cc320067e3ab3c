// Random cases of softmax, noise, normalisation, pooling and the sums.
#include "engine/philox.h"
#include "tests/cases.h"

namespace lanewise {
namespace {

double exp64(double x) { return std::exp(x); }
double log64(double x) { return std::log(x); }

double largest(const Grid& x, int64_t r) {
  double top = -INFINITY;
  for (int64_t c = 0; c < x.cols; ++c) top = std::max(top, static_cast<double>(x(r, c)));
  return top;
}

void softmax(Cases& t) {
  for (const bool log : {false, true}) {
    t.of(log ? "log_softmax_forward" : "softmax_forward", [&] {
      const int64_t rows = t.few(), cols = t.length();
      const bool in_place = t.below(4) == 0;
      const Grid y = in_place ? t.inout(rows, cols, Values::kAny, true) : t.out(rows, cols, true);
      const Grid x = in_place ? y : t.in(rows, cols, Values::kAny, true);
      std::vector<Rounded> want;
      for (int64_t r = 0; r < rows; ++r) {
        const double top = largest(x, r);
        const auto below = [&](int64_t c) { return Rounded(x(r, c)) - top; };
        const auto power = [&](int64_t c) { return function(exp64, below(c), t.ulps()); };
        const Rounded total = row_sum(cols, power), log_total = function(log64, total, t.ulps());
        for (int64_t c = 0; c < cols; ++c) want.push_back(log ? below(c) - log_total : power(c) / total);
      }
      (log ? t.k.log_softmax_forward : t.k.softmax_forward)(x.p, x.ld, y.p, y.ld, rows, cols);
      for (int64_t i = 0; i < rows * cols; ++i) t.holds(y(i / cols, i % cols), want[static_cast<size_t>(i)]);
    });
    t.of(log ? "log_softmax_backward" : "softmax_backward", [&] {
      const int64_t rows = t.few(), cols = t.length();
      const Grid dy = t.in(rows, cols, Values::kAny, true), dx = t.out(rows, cols, true);
      const Grid y = t.in(rows, cols, log ? Values::kAny : Values::kProbability, true);
      (log ? t.k.log_softmax_backward : t.k.softmax_backward)(dy.p, dy.ld, y.p, y.ld, dx.p, dx.ld, rows, cols);
      for (int64_t r = 0; r < rows; ++r) {
        const Rounded total =
            row_sum(cols, [&](int64_t c) { return log ? Rounded(dy(r, c)) : Rounded(dy(r, c)) * y(r, c); });
        for (int64_t c = 0; c < cols; ++c)
          t.holds(dx(r, c), log ? dy(r, c) - function(exp64, y(r, c), t.ulps()) * total : y(r, c) * (dy(r, c) - total));
      }
    });
  }
}

// A standard normal number from a word, by Newton's method on its distribution in float64.
double normal_of_word(uint32_t word) {
  const double u = (static_cast<double>(word & 0x7FFFFFFFu) + 0.5) * 0x1p-32;
  double z = std::sqrt(-2 * std::log(u)) * 0.8;
  for (int i = 0; i < 60; ++i)
    z += std::clamp((std::erfc(z * M_SQRT1_2) / 2 - u) / (std::exp(-z * z / 2) / std::sqrt(2 * M_PI)), -0.5, 0.5);
  return word >> 31 ? -z : z;
}

void noise(Cases& t) {
  const auto call = [&](auto&& of) {
    const int64_t n = t.length(), first = t.below(1000);
    const PhiloxKey key{t.word(), t.word(), static_cast<uint32_t>(t.below(8)), static_cast<uint32_t>(t.below(60000))};
    const bool in_place = t.below(4) == 0;
    const Grid y = in_place ? t.inout(1, n, Values::kAny) : t.out(1, n), x = in_place ? y : t.in(1, n, Values::kAny);
    const Floats before(x.p, x.p + n);
    of(x, y, before, first, n, key, [&](int64_t i) {
      uint32_t words[4];
      philox_block(key, static_cast<uint32_t>((first + i) / 4), words);
      return words[(first + i) % 4];
    });
  };
  t.of("dropout_apply", [&] {
    call([&](Grid x, Grid y, const Floats& before, int64_t first, int64_t n, const PhiloxKey& key, auto word) {
      const auto threshold = static_cast<uint32_t>(t.word());
      const float scale = t.uniform(1, 3);
      t.k.dropout_apply(x.p, y.p, first, n, threshold, scale, key);
      for (int64_t i = 0; i < n; ++i)
        t.equals(y[i], word(i) >= threshold ? before[static_cast<size_t>(i)] * scale : 0.0f);
    });
  });
  t.of("alpha_dropout_apply", [&] {
    call([&](Grid x, Grid y, const Floats& before, int64_t first, int64_t n, const PhiloxKey& key, auto word) {
      const auto threshold = static_cast<uint32_t>(t.word());
      const float scale = t.uniform(1, 3), shift = t.uniform(-1, 1), dropped = t.uniform(-3, -1);
      t.k.alpha_dropout_apply(x.p, y.p, first, n, threshold, scale, shift, dropped, key);
      for (int64_t i = 0; i < n; ++i)
        t.holds(y[i], word(i) >= threshold ? Rounded(before[static_cast<size_t>(i)]) * scale + shift : dropped);
    });
  });
  t.of("gaussian_apply", [&] {
    call([&](Grid x, Grid y, const Floats& before, int64_t first, int64_t n, const PhiloxKey& key, auto word) {
      const float add = t.uniform(0, 1), times = t.coin() ? 0.0f : t.uniform(0, 1);
      t.k.gaussian_apply(x.p, y.p, first, n, add, times, key);
      for (int64_t i = 0; i < n; ++i) {
        const Rounded was = before[static_cast<size_t>(i)];
        t.holds(y[i], was + Rounded(normal_of_word(word(i)), 2e-6) * (times * was + add));
      }
    });
  });
}

void columns(Cases& t) {
  t.of("normalize_forward", [&] {
    const int64_t rows = t.few(), cols = t.length();
    const Grid x = t.in(rows, cols, Values::kAny), mean = t.in(1, cols, Values::kAny);
    const Grid std = t.in(1, cols, Values::kAbove), y = t.out(rows, cols);
    t.k.normalize_forward(x.p, mean.p, std.p, y.p, rows, cols);
    for (int64_t i = 0; i < x.size(); ++i) t.equals(y[i], (x[i] - mean[i % cols]) / std[i % cols]);
  });
  t.of("normalize_backward", [&] {
    const int64_t rows = t.few(), cols = t.length();
    const Grid dy = t.in(rows, cols, Values::kAny), std = t.in(1, cols, Values::kAbove), dx = t.out(rows, cols);
    t.k.normalize_backward(dy.p, std.p, dx.p, rows, cols);
    for (int64_t i = 0; i < dy.size(); ++i) t.equals(dx[i], dy[i] / std[i % cols]);
  });
  t.of("scale_columns", [&] {
    const int64_t rows = t.few(), cols = t.length();
    const bool offset = t.coin(), in_place = t.coin();
    const Grid y = in_place ? t.inout(rows, cols, Values::kAny) : t.out(rows, cols);
    const Grid x = in_place ? y : t.in(rows, cols, Values::kAny), s = t.in(1, cols, Values::kAny);
    const Grid shift = offset ? t.in(1, cols, Values::kAny) : Grid{};
    const Floats before(x.p, x.p + x.size());
    t.k.scale_columns(x.p, s.p, shift.p, y.p, rows, cols);
    for (int64_t i = 0; i < x.size(); ++i) {
      const float product = before[static_cast<size_t>(i)] * s[i % cols];
      t.equals(y[i], offset ? product + shift[i % cols] : product);
    }
  });
  t.of("mix_inplace", [&] {
    const int64_t n = t.length();
    const Grid m = t.inout(1, n, Values::kAny), x = t.in(1, n, Values::kAny);
    const float momentum = t.uniform(0, 1), rate = t.uniform(0, 1);
    const Floats before(m.p, m.p + n);
    t.k.mix_inplace(m.p, x.p, momentum, rate, n);
    for (int64_t i = 0; i < n; ++i)
      t.holds(m[i], Rounded(before[static_cast<size_t>(i)]) * momentum + Rounded(x[i]) * rate);
  });
  t.of("max_pool_forward", [&] {
    const int64_t rows = t.few(), cols = t.length();
    const Grid x = t.in(rows, cols, Values::kAny), y = t.out(1, cols);
    t.k.max_pool_forward(x.p, y.p, rows, cols);
    for (int64_t c = 0; c < cols; ++c) {
      float best = x[c];
      for (int64_t r = 1; r < rows; ++r) best = best > x(r, c) || best != best ? best : x(r, c);
      t.holds(y[c], best);
    }
  });
  t.of("max_pool_backward", [&] {
    const int64_t rows = t.few(), cols = t.length();
    const Grid x = t.in(rows, cols, t.coin() ? Values::kWhole : Values::kAny), y = t.in(1, cols, Values::kWhole);
    const Grid dy = t.in(1, cols, Values::kAny), dx = t.out(rows, cols);
    t.k.max_pool_backward(dy.p, x.p, y.p, dx.p, rows, cols);
    for (int64_t c = 0; c < cols; ++c) {
      float count = 0;
      for (int64_t r = 0; r < rows; ++r) count += x(r, c) == y[c];
      for (int64_t r = 0; r < rows; ++r) t.equals(dx(r, c), x(r, c) == y[c] ? dy[c] / count : 0.0f);
    }
  });
}

// NaN of an infinite variance: 0 would be as if every x were the mean.
Rounded inverse_std(float variance, float epsilon) {
  return variance == INFINITY ? Rounded(NAN) : 1 / sqrt(Rounded(variance) + epsilon);
}

void batch_norm(Cases& t) {
  t.of("batch_norm_forward", [&] {
    const int64_t rows = t.few(), cols = t.length();
    const Grid x = t.in(rows, cols, Values::kAny, true);
    // one leading dimension for all arrays
    Grid y = t.out(1, (rows - 1) * x.ld + cols), xhat = t.coin() ? t.out(1, (rows - 1) * x.ld + cols) : Grid{};
    const Grid mean = t.in(1, cols, Values::kAny), variance = t.in(1, cols, Values::kAbove);
    const Grid gamma = t.in(1, cols, Values::kAny), beta = t.in(1, cols, Values::kAny);
    t.k.batch_norm_forward(x.p, mean.p, variance.p, gamma.p, beta.p, 1e-3f, xhat.p, y.p, x.ld, rows, cols);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c) {
        const Rounded h = (Rounded(x(r, c)) - mean[c]) * inverse_std(variance[c], 1e-3f);
        if (xhat.p) t.holds(xhat[r * x.ld + c], h);
        t.holds(y[r * x.ld + c], h * gamma[c] + beta[c]);
      }
  });
  t.of("batch_norm_backward", [&] {
    const int64_t rows = t.few(), cols = t.length();
    const bool own = t.coin();
    const Grid dy = t.in(rows, cols, Values::kAny, true), dx = t.out(1, (rows - 1) * dy.ld + cols);
    const Grid xhat = t.in(1, (rows - 1) * dy.ld + cols, Values::kAny), gamma = t.in(1, cols, Values::kAny);
    const Grid variance = t.in(1, cols, Values::kAbove), sums = t.in(1, cols, Values::kAny);
    const Grid dots = t.in(1, cols, Values::kAny);
    const auto count = static_cast<float>(rows);
    t.k.batch_norm_backward(dy.p, xhat.p, gamma.p, variance.p, own ? sums.p : nullptr, own ? dots.p : nullptr, count,
                            1e-3f, dx.p, dy.ld, rows, cols);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c) {
        const Rounded factor = gamma[c] * inverse_std(variance[c], 1e-3f), up = dy(r, c);
        const Rounded rest = up - Rounded(sums[c]) / count - Rounded(xhat[r * dy.ld + c]) * (Rounded(dots[c]) / count);
        t.holds(dx[r * dy.ld + c], (own ? rest : up) * factor);
      }
  });
}

RowNorm draw_norm(Cases& t) {
  const int64_t way = t.below(3);
  return {way == 2 ? 1e-12f : 1e-3f, way == 0, way == 2};
}

// A row as the kernel takes it: as it is; or again, where its mean is far from 0 or its squares overflow or underflow,
// less its first element and times the power of two that brings the largest, or epsilon, near 1.
struct RowStatistics {
  double from = 0, by = 1;
  Rounded mean, norm;
  bool far = false;
  Rounded at(float x) const { return by == 1 && from == 0 ? Rounded(x) : Rounded((x - from) * by).rounded(2); }
};
RowStatistics statistics(const Grid& x, int64_t r, RowNorm how, bool again) {
  RowStatistics s;
  if (again) {
    double top = how.unit ? how.epsilon : std::sqrt(how.epsilon);
    if (how.center) s.from = x(r, 0);
    for (int64_t c = 0; c < x.cols; ++c) top = std::fmax(top, std::fabs(x(r, c) - s.from));
    s.by = std::isfinite(top) ? std::exp2(-std::floor(std::log2(top))) : 0x1p-127;
  }
  const auto width = static_cast<double>(x.cols);
  s.mean = how.center ? row_sum(x.cols, [&](int64_t c) { return s.at(x(r, c)); }) / width : 0;
  const Rounded squares = row_sum(x.cols, [&](int64_t c) {
    const Rounded d = s.at(x(r, c)) - s.mean;
    return d * d;
  });
  const Rounded epsilon = how.unit ? how.epsilon * s.by : Rounded(how.epsilon) * s.by * s.by;
  const Rounded square = how.unit ? squares : squares / width + epsilon, root = sqrt(square);
  s.norm = how.unit ? less(root, epsilon, epsilon, root) : root;
  // with room: where it is near the edge, either way may be taken
  s.far = s.mean.v * s.mean.v > 200 * square.v || s.norm.v < 0x1p-44 || ((s.mean.may | square.may) & ~kFinite);
  return s;
}

void row_norm(Cases& t) {
  t.of("row_norm_forward", [&] {
    const int64_t rows = t.few(), cols = t.length();
    const RowNorm how = draw_norm(t);
    const Grid x = t.in(rows, cols, Values::kAny);
    const Grid y = t.out(rows, cols), xhat = t.coin() ? t.out(rows, cols) : Grid{}, inverse = t.out(1, rows);
    const Grid gamma = how.unit ? Grid{} : t.in(1, cols, Values::kAny);
    const Grid beta = how.unit ? Grid{} : t.in(1, cols, Values::kAny);
    t.k.row_norm_forward(x.p, gamma.p, beta.p, how, xhat.p, inverse.p, y.p, rows, cols);
    for (int64_t r = 0; r < rows; ++r) {
      const RowStatistics plain = statistics(x, r, how, false);
      const RowStatistics s = plain.far ? statistics(x, r, how, true) : plain;
      t.holds(inverse[r], 1 / s.norm * s.by);
      for (int64_t c = 0; c < cols; ++c) {
        const Rounded h = (s.at(x(r, c)) - s.mean) * (1 / s.norm);
        if (xhat.p) t.holds(xhat(r, c), h);
        t.holds(y(r, c), how.unit ? h : h * gamma[c] + beta[c]);
      }
    }
  });
  t.of("row_norm_backward", [&] {
    const int64_t rows = t.few(), cols = t.length();
    const RowNorm how = draw_norm(t);
    const Grid dy = t.in(rows, cols, Values::kAny), xhat = t.in(rows, cols, Values::kAny), dx = t.out(rows, cols);
    const Grid gamma = t.coin() ? t.in(1, cols, Values::kAny) : Grid{}, inverse = t.in(1, rows, Values::kAbove);
    t.k.row_norm_backward(dy.p, xhat.p, gamma.p, inverse.p, how, dx.p, rows, cols);
    const auto width = static_cast<double>(cols);
    for (int64_t r = 0; r < rows; ++r) {
      const auto g = [&](int64_t c) { return gamma.p ? Rounded(dy(r, c)) * gamma[c] : Rounded(dy(r, c)); };
      const Rounded mean = how.center ? row_sum(cols, g) / width : 0;
      const Rounded dot = row_sum(cols, [&](int64_t c) { return g(c) * xhat(r, c); }),
                    part = how.unit ? dot : dot / width;
      for (int64_t c = 0; c < cols; ++c) t.holds(dx(r, c), (g(c) - mean - xhat(r, c) * part) * inverse[r]);
    }
  });
}

void sums(Cases& t) {
  // few long columns, or many short ones
  const auto shape = [&](int64_t& rows, int64_t& cols) {
    rows = t.length() * (t.below(8) == 0 ? 3 : 1), cols = t.few();
    if (t.coin()) std::swap(rows, cols);
    if (t.below(6) == 0) rows = 100 + t.below(80), cols = 56 + t.below(100);  // strips
  };
  t.of("column_sum", [&] {
    int64_t rows, cols;
    shape(rows, cols);
    const Grid x = t.in(rows, cols, Values::kAny, true), y = t.out(1, cols);
    t.k.column_sum(x.p, x.ld, y.p, rows, cols);
    for (int64_t c = 0; c < cols; ++c) t.holds(y[c], column_sum(rows, [&](int64_t r) { return Rounded(x(r, c)); }));
  });
  t.of("column_dot", [&] {
    int64_t rows, cols;
    shape(rows, cols);
    const Grid a = t.in(rows, cols, Values::kAny, true), b = t.in(1, (rows - 1) * a.ld + cols, Values::kAny);
    const Grid y = t.out(1, cols);
    t.k.column_dot(a.p, b.p, a.ld, y.p, rows, cols);
    for (int64_t c = 0; c < cols; ++c)
      t.holds(y[c], column_sum(rows, [&](int64_t r) { return Rounded(a(r, c)) * b[r * a.ld + c]; }));
  });
  t.of("column_moments", [&] {
    int64_t rows, cols;
    shape(rows, cols);
    const Grid x = t.in(rows, cols, Values::kAny, true), mean = t.out(1, cols), variance = t.out(1, cols);
    t.k.column_moments(x.p, x.ld, mean.p, variance.p, rows, cols);
    const auto count = static_cast<double>(rows);
    for (int64_t c = 0; c < cols; ++c) {
      // of a column far from 0 the mean is corrected by a mean of differences from it, which the sum's bound allows
      t.holds(mean[c], (column_sum(rows, [&](int64_t r) { return Rounded(x(r, c)); }) / count).rounded());
      t.holds(variance[c], column_sum(rows, [&](int64_t r) {
                             const Rounded d = Rounded(x(r, c)) - mean[c];
                             return d * d;
                           }) / count);
    }
  });
  t.of("row_sum", [&] {
    const int64_t rows = t.few(), cols = t.length();
    const Grid x = t.in(rows, cols, Values::kAny, true), y = t.out(1, rows);
    t.k.row_sum(x.p, x.ld, y.p, rows, cols);
    for (int64_t r = 0; r < rows; ++r) t.holds(y[r], row_sum(cols, [&](int64_t c) { return Rounded(x(r, c)); }));
  });
  t.of("weighted_sum", [&] {
    const int64_t n = t.length() * (1 + t.below(3));
    const Grid x = t.in(1, n, Values::kAny), w = t.coin() ? t.in(1, n, Values::kAny) : Grid{}, y = t.out(1, 1);
    t.k.weighted_sum(x.p, w.p, y.p, n);
    t.holds(y[0], column_sum(n, [&](int64_t i) { return w.p ? Rounded(x[i]) * w[i] : Rounded(x[i]); }));
  });
  t.of("sum_squares", [&] {
    const int64_t n = t.length() * (1 + t.below(3));
    const Grid x = t.in(1, n, Values::kAny), y = t.out(1, 1);
    t.k.sum_squares(x.p, y.p, n);
    t.holds(y[0], column_sum(n, [&](int64_t i) { return Rounded(x[i]) * x[i]; }));
  });
  t.of("l1l2_forward", [&] {
    const int64_t n = t.length() * (1 + t.below(3));
    const float l1 = t.uniform(0, 1), l2 = t.uniform(0, 1);
    const Grid x = t.in(1, n, Values::kAny), y = t.out(1, 1);
    t.k.l1l2_forward(x.p, l1, l2, y.p, n);
    t.holds(y[0], column_sum(n, [&](int64_t i) { return l1 * abs(Rounded(x[i])) + l2 * (Rounded(x[i]) * x[i]); }));
  });
}

void flat(Cases& t) {
  const auto call = [&](auto&& of) {
    const int64_t n = t.length();
    const Grid y = t.inout(1, n, Values::kAny), x = t.in(1, n, Values::kAny);
    of(n, y, x, Floats(y.p, y.p + n), t.uniform(0, 2));
  };
  t.of("scale_inplace", [&] {
    call([&](int64_t n, Grid y, Grid, const Floats& was, float s) {
      t.k.scale_inplace(y.p, s, n);
      for (int64_t i = 0; i < n; ++i) t.equals(y[i], was[static_cast<size_t>(i)] * s);
    });
  });
  t.of("clip_inplace", [&] {
    call([&](int64_t n, Grid y, Grid, const Floats& was, float s) {
      t.k.clip_inplace(y.p, s, n);
      for (int64_t i = 0; i < n; ++i) t.equals(y[i], std::clamp(was[static_cast<size_t>(i)], -s, s));
    });
  });
  t.of("add_inplace", [&] {
    call([&](int64_t n, Grid y, Grid x, const Floats& was, float) {
      t.k.add_inplace(y.p, x.p, n);
      for (int64_t i = 0; i < n; ++i) t.equals(y[i], was[static_cast<size_t>(i)] + x[i]);
    });
  });
  t.of("l1l2_backward", [&] {
    call([&](int64_t n, Grid y, Grid x, const Floats& was, float s) {
      t.k.l1l2_backward(x.p, s, 0.3f, y.p, n);
      for (int64_t i = 0; i < n; ++i) {
        const double sign = static_cast<double>(s) * ((x[i] > 0) - (x[i] < 0));
        t.holds(y[i], was[static_cast<size_t>(i)] + (Rounded(2.0f * 0.3f) * x[i] + sign));
      }
    });
  });
}

}  // namespace

void layer_cases(Cases& cases) {
  softmax(cases);
  noise(cases);
  columns(cases);
  batch_norm(cases);
  row_norm(cases);
  sums(cases);
  flat(cases);
}

}  // namespace lanewise
