// NaN, infinities, signed zeros, subnormals and the largest float in every lane of the widest loop and of its tail.
// What stands in one element must give there what it gives alone, and change no bit of the others; in one row (or
// column) it must give the same kind of result wherever it stands, and change no bit of the other rows. What that kind
// is, the random cases say.
#include <functional>

#include "engine/activations.h"
#include "engine/loss_kernels.h"
#include "tests/cases.h"

namespace lanewise {
namespace {

const float kSpecial[] = {NAN,       INFINITY,        -INFINITY,       0.0f, -0.0f, 0x1p-149f, -0x1p-149f,
                          0x1p-126f, 0x1.fffffep127f, -0x1.fffffep127f};
const ActivationArgs kArgs = {1, 0.5f, 1};  // serves all of them

uint32_t bits_of(float x) {
  uint32_t b;
  std::memcpy(&b, &x, 4);
  return x == x ? b : 0x7FC00000u;
}
// Each of them in each of `n` lanes; of more than 100, NaN and every fifth of the others.
bool stands(const float& special, int64_t lane, int64_t n) {
  return n <= 100 || special != special || (lane + (&special - kSpecial)) % 5 == 0;
}
// Two rounds of four vectors, a vector, five lanes.
int64_t widest(const KernelTable& k) {
  const std::string isa = k.isa;
  const int64_t lanes = isa == "avx512" ? 16 : isa == "neon" ? 4 : 8;
  return 9 * lanes + 5;
}

// in[j] and what is stepped in place (slots): n floats each.
using Elements = std::function<void(std::vector<Floats>& x, int64_t n)>;  // results in the last array, or in place
// rows x cols in x[0] and x[1]; `out` has one value a row, or a row.
using Rows = std::function<void(const std::vector<Floats>& x, Floats& out, int64_t rows, int64_t cols)>;

struct Specials {
  const KernelTable& k;
  int64_t results = 0;

  void elements(const std::string& name, int arrays, const Elements& f) {
    if (!Cases::asked(name.c_str())) return;
    for (const int64_t n : {int64_t{31}, widest(k)}) {
      std::vector<Floats> base;
      for (int j = 0; j < arrays; ++j) base.push_back(random_probabilities(n));
      std::vector<Floats> plain = base;
      f(plain, n);
      for (int j = 0; j < arrays; ++j)
        for (int64_t i = 0; i < n; ++i)
          for (const float& s : kSpecial) {
            if (!stands(s, i, n)) continue;
            std::vector<Floats> x = base, alone;
            x[static_cast<size_t>(j)][static_cast<size_t>(i)] = s;
            for (const Floats& v : x) alone.push_back({v[static_cast<size_t>(i)]});
            f(x, n);
            f(alone, 1);
            for (size_t o = 0; o < x.size(); ++o) {
              Floats want = plain[o];
              want[static_cast<size_t>(i)] = alone[o][0];
              results += n;
              if (std::memcmp(want.data(), x[o].data(), want.size() * 4) == 0) continue;
              for (size_t e = 0; e < want.size(); ++e)  // a NaN's bits are no promise
                expect(bits_of(x[o][e]) == bits_of(want[e]), k.isa, (name + ", special values").c_str(), n * 1000 + i,
                       x[o][e], want[e]);
            }
          }
    }
  }
  void rows(const std::string& name, int64_t width,
            const Rows& f) {  // width: floats of the result for each column, or 0
    if (!Cases::asked(name.c_str())) return;
    for (const int64_t cols : {int64_t{2}, int64_t{31}, widest(k)}) {
      const int64_t rows = 3, per_row = width == 0 ? 1 : width * cols;
      const auto size = static_cast<size_t>(rows * cols);
      std::vector<Floats> base = {Floats(size, 0.5f), Floats(size, 0.375f)};
      Floats plain(static_cast<size_t>(rows * per_row));
      f(base, plain, rows, cols);
      for (int j = 0; j < 2; ++j)
        for (const float& s : kSpecial) {
          std::vector<unsigned> first;
          for (int64_t i = 0; i < cols; ++i) {
            if (!stands(s, i, cols)) continue;
            std::vector<Floats> x = base;
            x[static_cast<size_t>(j)][static_cast<size_t>(cols + i)] = s;
            Floats out(plain.size());
            f(x, out, rows, cols);
            std::vector<unsigned> kinds;  // of the middle row: at the element, and of the others
            for (int64_t e = 0; e < rows * per_row; ++e) {
              const auto at = static_cast<size_t>(e);
              ++results;
              if (e / per_row != 1)
                expect(bits_of(out[at]) == bits_of(plain[at]), k.isa, (name + ", other rows").c_str(), cols * 1000 + i,
                       out[at], plain[at]);
            }
            if (per_row == 1) {
              kinds = {kind_of(out[1])};
            } else {
              kinds = {kind_of(out[static_cast<size_t>(per_row + i)]),
                       kind_of(out[static_cast<size_t>(per_row + (i + 1) % cols)])};
              for (int64_t e = 0; e < cols; ++e)
                if (e != i)
                  expect(kind_of(out[static_cast<size_t>(per_row + e)]) == kinds[1], k.isa,
                         (name + ", within a row").c_str(), cols * 1000 + i, out[static_cast<size_t>(per_row + e)], 0);
            }
            if (first.empty()) first = kinds;
            expect(kinds == first, k.isa, (name + ", wherever it stands").c_str(), cols * 1000 + i,
                   out[static_cast<size_t>(per_row)], s);
          }
        }
    }
  }
};

// Columns that are summed in strips (from 64 columns of 128 rows on; 150: two rounds of 64 rows and a rest): a column
// has the kind that it has alone, the others do not change.
void columns(Specials& t, const std::string& name, const Rows& f) {
  if (!Cases::asked(name.c_str())) return;
  const int64_t rows = 150, cols = 64 + 21;
  const std::vector<Floats> base = {random_probabilities(rows * cols), random_probabilities(rows * cols)};
  Floats plain(static_cast<size_t>(cols)), out(plain), alone(1);
  f(base, plain, rows, cols);
  for (size_t j = 0; j < 2; ++j)
    for (const float& s : kSpecial)
      for (int64_t i = 0; i < cols; ++i) {
        if (&s != kSpecial && (i + (&s - kSpecial)) % 9 != 0) continue;  // NaN in every column
        std::vector<Floats> x = base, column(2);
        x[j][static_cast<size_t>(i * 37 % rows * cols + i)] = s;
        for (int64_t e = 0; e < 2 * rows; ++e)
          column[static_cast<size_t>(e / rows)].push_back(
              x[static_cast<size_t>(e / rows)][static_cast<size_t>(e % rows * cols + i)]);
        f(x, out, rows, cols), f(column, alone, rows, 1);
        t.results += cols;
        for (int64_t c = 0; c < cols; ++c) {
          const float got = out[static_cast<size_t>(c)], want = c == i ? alone[0] : plain[static_cast<size_t>(c)];
          expect(bits_of(got) == bits_of(want), t.k.isa, (name + ", columns").c_str(), i, got, want);
        }
      }
}

using T = KernelTable;

void elements(Specials& t) {
  const KernelTable& k = t.k;
  for (int op = static_cast<int>(Op::kLinear); op <= static_cast<int>(Op::kHardSilu); ++op) {
    const ActivationInfo& info = activation_info(static_cast<Op>(op));
    t.elements(std::string(op_name(info.op)) + "_forward", 2,
               [&](auto& x, int64_t n) { (k.*info.forward)(x[0].data(), n, nullptr, x[1].data(), n, 1, n, kArgs); });
    t.elements(std::string(op_name(info.op)) + "_backward", 3, [&](auto& x, int64_t n) {
      (k.*info.backward)(x[0].data(), n, x[1].data(), n, x[2].data(), n, 1, n, kArgs);
    });
  }
  t.elements("prelu", 5, [&](auto& x, int64_t n) {
    k.prelu_forward(x[0].data(), x[1].data(), x[2].data(), 1, n);
    k.prelu_backward(x[2].data(), x[0].data(), x[1].data(), x[3].data(), 1, n);
    k.prelu_alpha_backward(x[2].data(), x[0].data(), x[4].data(), n);
  });
  for (const auto merge : {&T::add_forward, &T::subtract_forward, &T::multiply_forward, &T::maximum_forward,
                           &T::minimum_forward, &T::divide_forward})
    t.elements("merging", 3, [&](auto& x, int64_t n) { (k.*merge)(x[0].data(), x[1].data(), x[2].data(), n); });
  t.elements("maximum_backward", 4,
             [&](auto& x, int64_t n) { k.maximum_backward(x[0].data(), x[1].data(), x[2].data(), x[3].data(), n); });
  t.elements("normalize", 5, [&](auto& x, int64_t n) {
    k.normalize_forward(x[0].data(), x[1].data(), x[2].data(), x[3].data(), 1, n);
    k.normalize_backward(x[0].data(), x[2].data(), x[4].data(), 1, n);
  });
  t.elements("scale_columns, mix", 4, [&](auto& x, int64_t n) {
    k.scale_columns(x[0].data(), x[1].data(), x[2].data(), x[3].data(), 1, n);
    k.mix_inplace(x[0].data(), x[1].data(), 0.5f, 0.25f, n);
  });
  t.elements("batch_norm", 8, [&](auto& x, int64_t n) {
    k.batch_norm_forward(x[0].data(), x[1].data(), x[2].data(), x[3].data(), x[4].data(), 1e-3f, x[5].data(),
                         x[6].data(), n, 1, n);
    k.batch_norm_backward(x[0].data(), x[1].data(), x[3].data(), x[2].data(), x[4].data(), x[1].data(), 3, 1e-3f,
                          x[7].data(), n, 1, n);
  });
  t.elements("max_pool", 4, [&](auto& x, int64_t n) {
    k.max_pool_forward(x[0].data(), x[1].data(), 1, n);
    k.max_pool_backward(x[2].data(), x[0].data(), x[1].data(), x[3].data(), 1, n);
  });
  t.elements("flat helpers", 2, [&](auto& x, int64_t n) {
    k.add_inplace(x[0].data(), x[1].data(), n), k.scale_inplace(x[0].data(), 0.5f, n);
    k.clip_inplace(x[0].data(), 2, n), k.l1l2_backward(x[1].data(), 0.5f, 0.25f, x[0].data(), n);
  });
  t.elements("dot_backward", 3,
             [&](auto& x, int64_t n) { k.dot_backward(x[0].data(), x[1].data(), x[2].data(), n, 1); });
  OptimizerArgs args{};
  args.lr = args.lr_mean = 0.1f, args.beta1 = 0.9f, args.beta2 = 0.99f, args.rate1 = 0.1f, args.rate2 = 0.01f,
  args.epsilon = 1e-7f;
  args.scale = 1, args.power = 0.75f, args.l1 = args.l2 = 0.1f, args.nesterov = true, args.centered = true;
  for (const auto step : {&T::sgd_step, &T::adam_step, &T::rmsprop_step, &T::amsgrad_step, &T::adamax_step,
                          &T::nadam_step, &T::adagrad_step, &T::adadelta_step, &T::ftrl_step, &T::lion_step})
    t.elements("a step", 5, [&](auto& x, int64_t n) {
      float* slots[] = {x[2].data(), x[3].data(), x[4].data()};
      (k.*step)(x[0].data(), x[1].data(), slots, n, args);
    });
  t.elements("average_step", 2, [&](auto& x, int64_t n) { k.average_step(x[0].data(), x[1].data(), 0.5f, 0.25f, n); });
  for (const std::string& name : loss_names()) {  // one column: the rows are the lanes
    const LossKernel& loss = loss_kernel(name);
    if (loss.sparse() || loss.outputs > 1) continue;
    const Params param = {0.25f, 1.5f, 1, 0.5f};
    t.elements(name, 5, [&](auto& x, int64_t n) {
      loss.rows(k, x[0].data(), x[1].data(), param.data(), x[2].data(), n, 1);
      loss.gradient(k, x[0].data(), x[1].data(), param.data(), x[3].data(), 0.5f, x[4].data(), n, 1);
    });
  }
}

void rows(Specials& t) {
  const KernelTable& k = t.k;
  t.rows("softmax_forward", 1,
         [&](auto& x, Floats& y, int64_t r, int64_t c) { k.softmax_forward(x[0].data(), c, y.data(), c, r, c); });
  t.rows("log_softmax_forward", 1,
         [&](auto& x, Floats& y, int64_t r, int64_t c) { k.log_softmax_forward(x[0].data(), c, y.data(), c, r, c); });
  t.rows("softmax_backward", 1, [&](auto& x, Floats& y, int64_t r, int64_t c) {
    k.softmax_backward(x[0].data(), c, x[1].data(), c, y.data(), c, r, c);
  });
  t.rows("log_softmax_backward", 1, [&](auto& x, Floats& y, int64_t r, int64_t c) {
    k.log_softmax_backward(x[0].data(), c, x[1].data(), c, y.data(), c, r, c);
  });
  t.rows("row_sum", 0, [&](auto& x, Floats& y, int64_t r, int64_t c) { k.row_sum(x[0].data(), c, y.data(), r, c); });
  t.rows("dot_forward", 0,
         [&](auto& x, Floats& y, int64_t r, int64_t c) { k.dot_forward(x[0].data(), x[1].data(), y.data(), r, c); });
  for (const RowNorm how : {RowNorm{1e-3f, true, false}, RowNorm{1e-3f, false, false}, RowNorm{1e-12f, false, true}})
    t.rows("row_norm_forward", 1, [&, how](auto& x, Floats& y, int64_t r, int64_t c) {
      Floats inverse(static_cast<size_t>(r));
      k.row_norm_forward(x[0].data(), nullptr, nullptr, how, nullptr, inverse.data(), y.data(), r, c);
    });
  // Sums down columns: the rows here are the columns there.
  t.rows("column_sum, column_dot, column_moments", 0, [&](auto& x, Floats& y, int64_t r, int64_t c) {
    Floats a(x[0].size()), b(x[1].size()), mean(y.size()), variance(y.size()), dot(y.size());
    for (int64_t i = 0; i < r * c; ++i)
      a[static_cast<size_t>(i % c * r + i / c)] = x[0][static_cast<size_t>(i)],
                                            b[static_cast<size_t>(i % c * r + i / c)] = x[1][static_cast<size_t>(i)];
    k.column_sum(a.data(), r, y.data(), c, r), k.column_dot(a.data(), b.data(), r, dot.data(), c, r);
    k.column_moments(a.data(), r, mean.data(), variance.data(), c, r);
    for (size_t i = 0; i < y.size(); ++i) y[i] = y[i] + dot[i] + mean[i] + variance[i];
  });
  columns(t, "column_sum",
          [&](auto& x, Floats& y, int64_t r, int64_t c) { k.column_sum(x[0].data(), c, y.data(), r, c); });
  columns(t, "column_dot",
          [&](auto& x, Floats& y, int64_t r, int64_t c) { k.column_dot(x[0].data(), x[1].data(), c, y.data(), r, c); });
  columns(t, "column_moments", [&](auto& x, Floats& y, int64_t r, int64_t c) {
    Floats mean(y.size());
    k.column_moments(x[0].data(), c, mean.data(), y.data(), r, c);
    for (size_t i = 0; i < y.size(); ++i) y[i] += mean[i];
  });
  t.rows("weighted_sum, sum_squares, l1l2_forward", 0, [&](auto& x, Floats& y, int64_t r, int64_t c) {
    for (int64_t i = 0; i < r; ++i) {
      float out[3];
      k.weighted_sum(&x[0][static_cast<size_t>(i * c)], &x[1][static_cast<size_t>(i * c)], &out[0], c);
      k.sum_squares(&x[0][static_cast<size_t>(i * c)], &out[1], c);
      k.l1l2_forward(&x[1][static_cast<size_t>(i * c)], 0.5f, 0.25f, &out[2], c);
      y[static_cast<size_t>(i)] = out[0] + out[1] + out[2];
    }
  });
  for (const std::string& name : loss_names()) {
    const LossKernel& loss = loss_kernel(name);
    if (loss.sparse() || loss.outputs > 1 || name == "categorical_hinge")
      continue;  // which is the rival depends on the place
    const Params param = {0.25f, 1.5f, 1, 0.5f};
    t.rows(name + "_forward", 0, [&](auto& x, Floats& y, int64_t r, int64_t c) {
      loss.rows(k, x[0].data(), x[1].data(), param.data(), y.data(), r, c);
    });
    t.rows(name + "_backward", 1, [&](auto& x, Floats& y, int64_t r, int64_t c) {
      loss.gradient(k, x[0].data(), x[1].data(), param.data(), nullptr, 0.5f, y.data(), r, c);
    });
  }
}

}  // namespace

void check_specials(const KernelTable& table) {
  Specials specials{table};
  elements(specials);
  rows(specials);
  std::printf("%s special values in every lane: %lld results\n", table.isa, static_cast<long long>(specials.results));
}

}  // namespace lanewise
