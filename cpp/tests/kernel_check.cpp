// Checks every kernel of every ISA that this CPU has, and a small training through the engine, without Python: so it
// also runs under an emulator. Each result is compared with a float64 reference by a stated bound, and hashed; the
// hashes of all ISAs with fused multiply-add must be equal, on this machine and (run_kernel_check.sh) across machines.
//
// kernel_check [isa=ISA] [cases=N] [from=N] [integers=WHICH] [planted=yes] [check=WHICH]: that ISA only, N random cases
// of each kernel (100), every size of the products of integers on `all` ISAs, the `fused` or none, faults that these
// must see; all checks or some (see main). Output: one line "isa hash kernel" each; exit code 1 where a bound is broken
// or hashes differ.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "dispatch/dispatch.h"
#include "engine/execute.h"
#include "engine/team.h"
#include "tests/check.h"

using namespace lanewise;

namespace {

struct Checker {
  const KernelTable& k;
  std::map<std::string, Hash> hashes;

  void within(const char* what, int64_t size, double got, double wanted, double bound) {
    expect_within(k.isa, what, size, got, wanted, bound);
  }

  void softmax() {
    for (int64_t cols : kSizes) {
      const Floats x = random_floats(2 * cols, 6), dy = random_floats(2 * cols);
      Floats y(x.size()), dx(x.size());
      k.softmax_forward(x.data(), cols, y.data(), cols, 2, cols);
      k.softmax_backward(dy.data(), cols, y.data(), cols, dx.data(), cols, 2, cols);
      for (int64_t r = 0; r < 2; ++r) {
        double sum = 0, dot = 0, mass = 0;
        for (int64_t c = 0; c < cols; ++c) sum += std::exp(static_cast<double>(x[static_cast<size_t>(r * cols + c)]));
        for (int64_t c = 0; c < cols; ++c) {
          const auto i = static_cast<size_t>(r * cols + c);
          dot += static_cast<double>(dy[i]) * y[i];
          mass += std::fabs(static_cast<double>(dy[i]) * y[i]);
        }
        for (int64_t c = 0; c < cols; ++c) {
          const auto i = static_cast<size_t>(r * cols + c);
          const double wanted = std::exp(static_cast<double>(x[i])) / sum, slope = y[i] * (dy[i] - dot);
          // the difference x - max is rounded before exp, the sum has a chain of cols / 16 + 4 additions
          within("softmax", cols, y[i], wanted, wanted * kU * (static_cast<double>(cols) / 16 + 32));
          within("softmax derivative", cols, dx[i], slope,
                 y[i] * kU * (static_cast<double>(cols) / 16 + 8) * (std::fabs(dy[i]) + mass));
        }
      }
      hashes["softmax_forward"].add(y);
      hashes["softmax_backward"].add(dx);
    }
  }

  void layers() {
    for (int64_t cols : kSizes) {
      const int64_t rows = 3, n = rows * cols;
      const Floats x = random_floats(n), mean = random_floats(cols), std = random_probabilities(cols);
      Floats y(x.size()), part(x.size());
      k.normalize_forward(x.data(), mean.data(), std.data(), y.data(), rows, cols);
      for (int64_t i = 0; i < n; ++i) {
        const auto e = static_cast<size_t>(i), c = static_cast<size_t>(i % cols);
        expect(y[e] == (x[e] - mean[c]) / std[c], k.isa, "normalize", cols, y[e], 0);
      }
      hashes["normalize_forward"].add(y);
      k.normalize_backward(x.data(), std.data(), y.data(), rows, cols);
      for (int64_t i = 0; i < n; ++i)
        expect(y[static_cast<size_t>(i)] == x[static_cast<size_t>(i)] / std[static_cast<size_t>(i % cols)], k.isa,
               "normalize_backward", cols, 0, 0);
      hashes["normalize_backward"].add(y);
      const PhiloxKey key{42, 7, kStreamDropout, 3};
      k.dropout_apply(x.data(), y.data(), 0, n, 1u << 31, 2.0f, key);
      const int64_t cut = n / 3;  // any part of the array gets the words of its own elements
      k.dropout_apply(x.data(), part.data(), 0, cut, 1u << 31, 2.0f, key);
      k.dropout_apply(x.data() + cut, part.data() + cut, cut, n - cut, 1u << 31, 2.0f, key);
      expect(std::memcmp(y.data(), part.data(), y.size() * 4) == 0, k.isa, "dropout in parts", cols, 0, 0);
      for (int64_t i = 0; i < n; ++i)
        expect(y[static_cast<size_t>(i)] == 0 || y[static_cast<size_t>(i)] == 2 * x[static_cast<size_t>(i)], k.isa,
               "dropout", cols, 0, 0);
      hashes["dropout_apply"].add(y);
      k.alpha_dropout_apply(x.data(), y.data(), 0, n, 1u << 31, 2.0f, 0.25f, -3.0f, key);
      k.gaussian_apply(x.data(), part.data(), 0, n, 0.5f, 0.25f, key);
      for (int64_t i = 0; i < n; ++i) {
        const auto e = static_cast<size_t>(i);
        expect(y[e] == -3.0f || std::fabs(y[e] - (2 * x[e] + 0.25f)) < 1e-6f, k.isa, "alpha_dropout", cols, y[e], 0);
        const float z = (part[e] - x[e]) / (0.5f + 0.25f * x[e]);
        expect(std::fabs(z) < 6.8f || std::fabs(0.5f + 0.25f * x[e]) < 1e-3f, k.isa, "gaussian", cols, z, 0);
      }
      hashes["alpha_dropout_apply"].add(y);
      hashes["gaussian_apply"].add(part);
    }
  }

  // --- sums: |error| <= gamma * sum of magnitudes -------------------------------------------------------------------
  void sums() {
    auto check = [&](const char* what, int64_t n, double got, double wanted, double mass) {
      within(what, n, got, wanted, mass * kU * (static_cast<double>(n) / 16 + 12));
    };
    for (int64_t rows :
         {int64_t{1}, int64_t{15}, int64_t{16}, int64_t{33}, int64_t{1024}, int64_t{1025}, int64_t{2100}}) {
      for (int64_t cols : {1, 2, 7, 16, 17, 33, 97}) {
        const int64_t ld = cols + (cols % 2);
        const Floats x = random_floats(rows * ld);
        Floats down(static_cast<size_t>(cols)), along(static_cast<size_t>(rows));
        k.column_sum(x.data(), ld, down.data(), rows, cols);
        k.row_sum(x.data(), ld, along.data(), rows, cols);
        for (int64_t c = 0; c < cols; ++c) {
          double sum = 0, mass = 0;
          for (int64_t r = 0; r < rows; ++r)
            sum += x[static_cast<size_t>(r * ld + c)], mass += std::fabs(x[static_cast<size_t>(r * ld + c)]);
          check("column_sum", rows, down[static_cast<size_t>(c)], sum, mass);
        }
        for (int64_t r = 0; r < rows; ++r) {
          double sum = 0, mass = 0;
          for (int64_t c = 0; c < cols; ++c)
            sum += x[static_cast<size_t>(r * ld + c)], mass += std::fabs(x[static_cast<size_t>(r * ld + c)]);
          check("row_sum", cols, along[static_cast<size_t>(r)], sum, mass);
        }
        hashes["column_sum"].add(down);
        hashes["row_sum"].add(along);
      }
      const Floats x = random_floats(rows), w = random_floats(rows);
      Floats out(3);
      k.weighted_sum(x.data(), w.data(), &out[0], rows);
      k.sum_squares(x.data(), &out[1], rows);
      k.l1l2_forward(x.data(), 0.5f, 0.25f, &out[2], rows);
      double weighted = 0, squares = 0, penalty = 0, mass = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        weighted += static_cast<double>(x[i]) * w[i], mass += std::fabs(static_cast<double>(x[i]) * w[i]);
        squares += static_cast<double>(x[i]) * x[i], penalty += 0.5 * std::fabs(x[i]) + 0.25 * x[i] * x[i];
      }
      check("weighted_sum", rows, out[0], weighted, mass);
      check("sum_squares", rows, out[1], squares, squares);
      check("l1l2_forward", rows, out[2], penalty, penalty);
      hashes["weighted_sum, sum_squares, l1l2_forward"].add(out);
      Floats g = w;
      k.l1l2_backward(x.data(), 0.5f, 0.25f, g.data(), rows);
      k.clip_inplace(g.data(), 1.5f, rows);
      k.scale_inplace(g.data(), 0.75f, rows);
      k.add_inplace(g.data(), x.data(), rows);
      for (size_t i = 0; i < x.size(); ++i) {
        double r = w[i] + 0.5 * ((x[i] > 0) - (x[i] < 0)) + 0.5 * x[i];
        r = std::min(1.5, std::max(-1.5, r)) * 0.75 + x[i];
        within("flat helpers", rows, g[i], r, 1e-6);
      }
      hashes["l1l2_backward, clip, scale, add"].add(g);
    }
  }

  // Random sizes, between guard pages, and products of integers.
  void random(int64_t first, int64_t cases, bool all_integers, bool alone) {
    const FloatEnvironment environment;
    check_cases(k, first, cases);
    if (alone) return;
    check_integers(k, all_integers);
    check_specials(k);
  }

  // Fixed sizes, in heap memory without guard pages.
  void fixed() {
    const FloatEnvironment environment;
    g_state = 1;
    check_activations(k, hashes), softmax(), layers(), sums();
    hashes.merge(check_optimizers(k, kSizes));
    check_losses(k, hashes);
    check_merging(k, hashes);
    hashes["matmul_block"] = check_products(k);
    hashes["normalisation, pooling"] = check_layers(k);
    check_tails(k);
  }

  void training() {
    g_state = 1;
    hashes["training"].value = check_training(k);
  }
};

}  // namespace

// check=all, or one of random, cases (of those nothing but the random sizes), fixed (with a training), training;
// isa=NAME, or all of this machine; cases=N of each kernel, from=N on; integers=all, fused or some; planted=yes.
int main(int argc, char** argv) {
  std::map<std::string, std::string> given = {{"check", "all"}, {"from", "0"}, {"cases", "100"}};
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = word.find('=');
    if (equals != std::string::npos) given[word.substr(0, equals)] = word.substr(equals + 1);
  }
  const std::string check = given["check"], integers = given["integers"];
  const bool alone = check == "cases", random = check == "all" || check == "random" || alone,
             fixed = check == "all" || check == "fixed";
  const bool training = fixed || check == "training";
  check_pace();
  if (given["isa"].empty()) check_scratch();  // of sizes alone: once, and not under an emulator
  std::map<std::string, uint64_t> fused;
  bool checked = false;
  for (const std::string& isa : available_isas()) {
    if (!given["isa"].empty() && isa != given["isa"]) continue;
    use_isa(isa);
    Checker checker{kernels(), {}};
    if (random) {
      checker.random(std::stoll(given["from"]), std::stoll(given["cases"]),
                     integers == "all" || (integers == "fused" && kernels().fused), alone);
      if (given["planted"] == "yes") check_planted_faults(kernels());
    }
    if (fixed) checker.fixed();
    if (training) checker.training();
    checked = random || training;
    for (const auto& [name, hash] : checker.hashes) {
      if (kernels().fused) {
        const auto [at, fresh] = fused.try_emplace(name, hash.value);
        expect(at->second == hash.value, kernels().isa, ("hash of " + name).c_str(), 0, 0, 0);
      }
      std::printf("%s %016llx %s\n", kernels().isa, static_cast<unsigned long long>(hash.value), name.c_str());
    }
  }
  expect(checked, given["isa"].c_str(), ("check=" + check).c_str(), 0, 0, 0);  // neither word is misspelt
  std::printf("%d failures\n", g_failures);
  return g_failures != 0;
}
