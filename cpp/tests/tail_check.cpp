// The tails of a product's shares: every element of the result once and with its bits, whoever comes first.
#include <algorithm>
#include <cmath>

#include "engine/execute.h"
#include "tests/check.h"

namespace lanewise {
namespace {

struct Counted {
  Floats c;
  std::vector<int> times;  // that each element was written
  int64_t n;
};
void count(const void* context, float* t, int64_t i, int64_t j, int64_t rows, int64_t cols) {
  auto& out = *static_cast<Counted*>(const_cast<void*>(context));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t e = 0; e < cols; ++e) {
      const auto at = static_cast<size_t>((i + r) * out.n + j + e);
      out.c[at] = t[r * cols + e];
      ++out.times[at];
    }
}

struct Product {
  Matmul mm{};
  Floats a, b;
  Product(int64_t m, int64_t n, int64_t k, int layout) : a(random_floats(m * k)), b(random_floats(k * n)) {
    mm.m = m, mm.n = n, mm.k = k, mm.a = a.data(), mm.b = b.data();
    mm.a_row = layout & 1 ? 1 : k, mm.a_col = layout & 1 ? m : 1;
    mm.b_row = layout & 2 ? 1 : n, mm.b_col = layout & 2 ? k : 1;
    mm.epilogue = count;
  }
};

// Threads one after the other, from number `first` on: whoever is first finds all tails but its own untouched; or, -1,
// as a team.
void check_product(const KernelTable& k, const Product& product, bool by_columns, bool row_panels, int threads) {
  Matmul mm = product.mm;
  const auto size = static_cast<size_t>(mm.m * mm.n);
  const auto fresh = [&] { return Counted{Floats(size, NAN), std::vector<int>(size, 0), mm.n}; };
  Counted whole = fresh();
  const auto scratch = [&] { return Floats(static_cast<size_t>(matmul_scratch(mm)), NAN); };
  mm.context = &whole;
  k.matmul_block(mm, 0, mm.m, 0, panel_count(mm.n), scratch().data());
  std::vector<Tail> tails(static_cast<size_t>(threads));
  uint32_t round = 0;
  for (int first = -1; first < threads; ++first) {
    Counted out = fresh();
    mm.context = &out;
    const Sharing how{by_columns, row_panels, tails.data(), ++round};
    if (first < 0)
      run_team(threads, [&](int thread, int many) {
        Sharing mine = how;
        if (many != threads) mine.tails = nullptr;  // of another team
        run_share(k, mm, mine, thread, many, scratch().data());
      });
    else
      for (int t = 0; t < threads; ++t) run_share(k, mm, how, (first + t) % threads, threads, scratch().data());
    const bool once = std::all_of(out.times.begin(), out.times.end(), [](int n) { return n == 1; });
    expect(once, k.isa, "tails, elements written once", mm.m * 1000000 + mm.n * 1000 + mm.k, first, threads);
    expect(std::memcmp(out.c.data(), whole.c.data(), size * sizeof(float)) == 0, k.isa, "tails, bits",
           mm.m * 1000000 + mm.n * 1000 + mm.k, first, threads);
  }
}

// A share is what is first and its chunks, for products of every size.
void check_cuts() {
  const std::initializer_list<int64_t> sizes = {1, 2, 13, 14, 32, 40, 41, 64, 100, 112, 300, 512, 784, 1000, 4096};
  int64_t with_chunks = 0;
  for (int64_t m : sizes)
    for (int64_t n : sizes)
      for (int64_t k : sizes)
        for (int64_t p0 : {int64_t{0}, panel_count(n) / 2, panel_count(n)}) {
          Matmul mm{};
          mm.m = m, mm.n = n, mm.k = k, mm.a_row = k, mm.a_col = 1, mm.b_row = n, mm.b_col = 1;
          const Rect share{m / 3, m, p0, panel_count(n)};
          const Cut cut(mm, matmul_plan(mm), share);
          const Rect all = cut.between(0, cut.chunks), &f = cut.first;
          const bool whole = cut.chunks == 0
                                 ? f.i0 == share.i0 && f.i1 == share.i1 && f.p0 == share.p0 && f.p1 == share.p1
                             : cut.by_rows ? f.i0 == share.i0 && f.i0 < f.i1 && f.i1 == all.i0 && all.i1 == share.i1
                                           : f.p0 == share.p0 && f.p0 < f.p1 && f.p1 == all.p0 && all.p1 == share.p1;
          expect(whole, "any", "cut of a share", m * 1000000 + n * 1000 + k, static_cast<double>(cut.size),
                 static_cast<double>(cut.chunks));
          with_chunks += cut.chunks > 1;
        }
  expect(with_chunks > 100, "any", "shares with tails", 0, static_cast<double>(with_chunks), 100);
}

}  // namespace

void check_tails(const KernelTable& table) {
  check_cuts();
  for (int threads : {2, 3, 7})
    for (int layout = 0; layout < 4; ++layout) {
      check_product(table, Product(450, 100, 40, layout), true, false, threads);   // rows of A in chunks
      check_product(table, Product(1300, 70, 20, layout), false, true, threads);   // in groups of rows of a variable
      check_product(table, Product(60, 1700, 33, layout), false, false, threads);  // panels
    }
  for (int layout : {0, 3}) check_product(table, Product(50, 2500, 530, layout), true, false, 2);  // of two blocks of k
}

}  // namespace lanewise
