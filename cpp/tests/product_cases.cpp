// Random cases of the matrix product, and integers, whose products are exact: every size up to 33 and the edges of the
// blocks, sums of up to 8193 terms, every transpose, as one thread computes them and as the shares of 2 and of 7.
#include "tests/cases.h"
#include "tests/store.h"

namespace lanewise {
namespace {

// The shares of `threads` threads, by rows or by panels, one after another.
void in_shares(const KernelTable& k, const Matmul& mm, int64_t threads, bool by_panels, float* scratch) {
  const int64_t panels = panel_count(mm.n), whole = by_panels ? panels : mm.m;
  for (int64_t s = 0; s < threads; ++s) {
    const int64_t begin = whole * s / threads, end = whole * (s + 1) / threads;
    if (begin == end) continue;
    if (by_panels)
      k.matmul_block(mm, 0, mm.m, begin, end, scratch);
    else
      k.matmul_block(mm, begin, end, 0, panels, scratch);
  }
}

// A matrix with the strides that it is read by; or as panels.
struct Layout {
  Grid grid;
  int64_t row, col;
  bool panels = false, transposed = false;
  Floats values;  // row-major
};
Layout draw(Cases& t, int64_t rows, int64_t cols, Values values, bool may_be_panels) {
  Layout x{};
  const int64_t way = t.below(may_be_panels ? 5 : 3);
  if (way == 0) x.grid = t.in(rows, cols, values, true), x.row = x.grid.ld, x.col = 1;
  if (way == 1) x.grid = t.in(cols, rows, values, true), x.row = 1, x.col = x.grid.ld;
  if (way == 2) x.grid = t.in(rows, 2 * cols - 1, values, true), x.row = x.grid.ld, x.col = 2;
  x.values.resize(static_cast<size_t>(rows * cols));
  if (way < 3) {
    for (int64_t i = 0; i < rows * cols; ++i)
      x.values[static_cast<size_t>(i)] = x.grid.p[i / cols * x.row + i % cols * x.col];
    return x;
  }
  x.panels = true, x.transposed = way == 4, x.row = x.col = 1;
  x.grid = t.in(1, rows * cols, values);
  const int64_t height = x.transposed ? cols : rows, width = x.transposed ? rows : cols;
  int64_t at = 0;
  for (int64_t j = 0; j < width; j += kPanel)
    for (int64_t i = 0; i < height; ++i)
      for (int64_t c = j; c < std::min(j + kPanel, width); ++c)
        x.values[static_cast<size_t>(x.transposed ? c * cols + i : i * cols + c)] = x.grid[at++];
  return x;
}

void random_products(Cases& t) {
  t.of("matmul_block", [&] {
    int64_t m = 1 + t.below(33), n = 1 + t.below(40), kk = t.length();
    if (t.below(6) == 0) m = 1 + t.below(200), kk = 1 + t.below(70);
    if (t.below(6) == 0) n = 1 + t.below(200), m = 1 + t.below(10);
    if (t.below(24) == 0) m = 40 + t.below(300), n = 1 + t.below(300), kk = 60 + t.below(20);
    if (t.below(24) == 0) m = 1 + t.below(4), n = 1 + t.below(16), kk = 1000 + t.below(8000);
    const Values values = t.below(4) == 0 ? Values::kTiny : Values::kAny;
    const Layout a = draw(t, m, kk, Values::kAny, false), b = draw(t, kk, n, values, true);
    Matmul mm{};
    mm.m = m, mm.n = n, mm.k = kk;
    mm.a = a.grid.p, mm.a_row = a.row, mm.a_col = a.col;
    mm.b = b.grid.p, mm.b_row = b.row, mm.b_col = b.col, mm.b_panels = b.panels, mm.b_transposed = b.transposed;
    const Grid c = t.out(m, n, true);
    const Out out{c.p, c.ld};
    if (t.coin() && n > 1)
      mm.c = c.p, mm.c_row = c.ld, mm.c_col = 1;
    else
      mm.epilogue = store, mm.context = &out;
    if (mm.c && is_swapped(mm)) mm = swapped(mm);
    const PlannedFor now(t.coin() ? kCascadeLake : kZen4);
    const Grid scratch = t.out(1, std::max<int64_t>(1, matmul_scratch(mm)));
    in_shares(t.k, mm, std::vector<int64_t>{1, 2, 7}[static_cast<size_t>(t.below(3))], t.coin(), scratch.p);
    const double terms = static_cast<double>(kk) + (t.k.fused ? 0 : 1), gamma = terms * kU / (1 - terms * kU);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0, mass = 0;
        for (int64_t p = 0; p < kk; ++p) {
          const double product = static_cast<double>(a.values[static_cast<size_t>(i * kk + p)]) *
                                 static_cast<double>(b.values[static_cast<size_t>(p * n + j)]);
          sum += product, mass += std::fabs(product);
        }
        const double least = static_cast<double>(kk) * 0x1p-149;
        if (mass <= kMost) {
          t.holds(c(i, j), {sum, gamma * mass + least});
          continue;
        }
        Sum all;  // NaN, infinities, or a partial sum that may overflow
        for (int64_t p = 0; p < kk; ++p)
          all.add(static_cast<double>(a.values[static_cast<size_t>(i * kk + p)]) *
                  static_cast<double>(b.values[static_cast<size_t>(p * n + j)]));
        t.holds(c(i, j), all.rounded(gamma, least));
      }
  });
}

// One size: both operands as they are or transposed, in the shares of each number of threads.
struct Integers {
  const KernelTable& k;
  Floats a, b, c, scratch;  // operands of one layout; the result; NaN where nothing is written
  int64_t products = 0, wrong = 0, terms = 0, columns = 0;  // of left, of right

  void size(int64_t m, int64_t n, int64_t kk, const Floats& left, const Floats& right, const float* want, int64_t ld,
            bool all_threads) {
    for (int layout = 0; layout < 4; ++layout) {
      const bool ta = layout & 1, tb = layout & 2;
      a.resize(static_cast<size_t>(m * kk)), b.resize(static_cast<size_t>(kk * n)),
          c.resize(static_cast<size_t>(m * n));
      for (int64_t i = 0; i < m; ++i)
        for (int64_t p = 0; p < kk; ++p)
          a[static_cast<size_t>(ta ? p * m + i : i * kk + p)] = left[static_cast<size_t>(i * terms + p)];
      for (int64_t p = 0; p < kk; ++p)
        for (int64_t j = 0; j < n; ++j)
          b[static_cast<size_t>(tb ? j * kk + p : p * n + j)] = right[static_cast<size_t>(p * columns + j)];
      for (const int64_t threads : {1, 2, 7}) {
        if (threads > 1 && !all_threads) break;
        Matmul mm{};
        mm.m = m, mm.n = n, mm.k = kk;
        mm.a = a.data(), mm.a_row = ta ? 1 : kk, mm.a_col = ta ? m : 1;
        mm.b = b.data(), mm.b_row = tb ? 1 : n, mm.b_col = tb ? kk : 1;
        const Out out{c.data(), n};
        if (n > 1)
          mm.c = c.data(), mm.c_row = n, mm.c_col = 1;
        else
          mm.epilogue = store, mm.context = &out;
        if (mm.c && is_swapped(mm)) mm = swapped(mm);
        const PlannedFor now((m + n + kk) % 2 != 0 ? kCascadeLake : kZen4);
        std::fill(c.begin(), c.end(), NAN);
        scratch.assign(static_cast<size_t>(matmul_scratch(mm)), NAN);
        in_shares(k, mm, threads, mm.n > kPanel && threads == 2, scratch.data());
        ++products;
        for (int64_t i = 0; i < m; ++i)
          for (int64_t j = 0; j < n; ++j)
            if (!(c[static_cast<size_t>(i * n + j)] == want[i * ld + j])) ++wrong;
      }
    }
  }
};

}  // namespace

void product_cases(Cases& cases) { random_products(cases); }

void check_integers(const KernelTable& table, bool everything) {
  Integers check{table, {}, {}, {}, {}};
  const auto matrix = [](int64_t n) {
    Floats x(static_cast<size_t>(n));
    for (float& v : x) v = std::floor(draw(8.5f) + 0.5f);
    return x;
  };
  // For growing k: left * right of the first k terms.
  const auto sweep = [&](const std::vector<int64_t>& ms, const std::vector<int64_t>& ns, const std::vector<int64_t>& ks,
                         auto all_threads) {
    check.terms = ks.back(), check.columns = ns.back();
    const Floats left = matrix(ms.back() * ks.back()), right = matrix(ks.back() * ns.back());
    Floats want(static_cast<size_t>(ms.back() * ns.back()));
    int64_t done = 0;
    for (const int64_t kk : ks) {
      for (; done < kk; ++done)
        for (int64_t i = 0; i < ms.back(); ++i)
          for (int64_t j = 0; j < ns.back(); ++j)
            want[static_cast<size_t>(i * ns.back() + j)] +=
                left[static_cast<size_t>(i * ks.back() + done)] * right[static_cast<size_t>(done * ns.back() + j)];
      for (const int64_t m : ms)
        for (const int64_t n : ns) check.size(m, n, kk, left, right, want.data(), ns.back(), all_threads(m, n, kk));
    }
  };
  std::vector<int64_t> small(33);
  for (size_t i = 0; i < small.size(); ++i) small[i] = static_cast<int64_t>(i) + 1;
  const auto some = [&](int64_t m, int64_t n, int64_t kk) { return everything || (m * 5 + n * 3 + kk) % 11 == 0; };
  if (everything) {
    sweep(small, small, small, some);
    sweep({13, 14, 15, 27, 28, 29, 41, 42, 43, 167, 168, 169, 255, 256, 257}, {31, 32, 33, 63, 64, 65, 95, 96, 97},
          {1, 7, 8, 9, 63, 64, 65, 511, 512, 513, 1023, 1024, 1025}, some);
    sweep({1, 3, 15}, {1, 2, 17, 65}, {1101, 1535, 1536, 1537, 2048, 2049, 4097, 8193}, some);
  } else {
    sweep({1, 2, 5, 6, 7, 13, 14, 15, 29, 33}, {1, 2, 8, 15, 16, 17, 31, 32, 33}, {1, 2, 7, 16, 33}, some);
    sweep({28, 29, 42, 43, 168, 169}, {32, 33, 64, 65}, {64, 65, 512, 513}, some);
    sweep({1, 15}, {2, 33}, {1537, 2049, 4097}, some);
  }
  expect(check.wrong == 0, table.isa, "integers", check.products, static_cast<double>(check.wrong), 0);
  std::printf("%s integers: %lld products, %lld elements wrong\n", table.isa, static_cast<long long>(check.products),
              static_cast<long long>(check.wrong));
}

}  // namespace lanewise
