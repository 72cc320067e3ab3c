// Random cases of every kernel: shapes with every tail, strides, values; every operand between two pages that cannot be
// touched, outputs and the gaps between rows poisoned, inputs read again afterwards, results held to derived bounds
// (rounded.h). A case is drawn from its number, so that one that fails can be run again alone. Every third has NaN,
// infinities and other special values in some elements: what comes of them is what the equation makes of them.
#pragma once
#include <bitset>
#include <string>

#include "tests/rounded.h"

namespace lanewise {

enum class Values {
  kPlain,        // in [-2, 2)
  kWide,         // +-2^-20 to 2^20
  kTiny,         // zeros, subnormals and what is next to them
  kWhole,        // -8 to 8
  kScaled,       // kPlain times a power of two that the operand has: any that float32 holds
  kAny,          // one of these
  kPositive,     // 2^-6 to 2^3
  kAbove,        // 2^-20 to 1 times any power of two that the operand has, or kPositive
  kProbability,  // in [0, 1]: even, or 2^-40 to 1 from either end, or the ends
};

// Rows of `cols` floats that lie `ld` apart.
struct Grid {
  float* p;
  int64_t rows, cols, ld;
  float& operator()(int64_t r, int64_t c) const { return p[r * ld + c]; }
  float& operator[](int64_t i) const { return p[i]; }  // of one row, or contiguous ones
  int64_t size() const { return rows * cols; }
};

class Cases {
 public:
  const KernelTable& k;

  // A fault of one's own is planted in what was computed where `nudge`: that the checks see it is then what counts.
  Cases(const KernelTable& table, int64_t first, int64_t count, bool nudge);
  ~Cases();

  // `count` cases of a kernel, from number `first` on; `one` draws operands, calls the kernel and hands its results to
  // holds or equals.
  template <class F>
  void of(const char* name, F one) {
    if (!asked(name)) return;
    begin(name);
    for (int64_t i = 0; i < count_; ++i) {
      start(first_ + i);
      one();
      finish();
    }
    end();
  }

  // Whether KERNELS, words in the environment, has this one among them: without it all are.
  static bool asked(const char* name);

  uint64_t word();
  int64_t below(int64_t n) { return static_cast<int64_t>(word() % static_cast<uint64_t>(n)); }
  bool coin() { return below(2) == 1; }
  float uniform(float low, float high);
  float value(Values values);
  // In every third case, whoever asks first, the next of 1 to kTails, so that each comes. Otherwise 1 to 33 most often;
  // the edges of blocks and chunks, +-1; now and then up to 1100. Or evenly up to `most`.
  int64_t length(int64_t most = 0);
  int64_t few() { return 1 + below(5); }

  // Operands of the case that is running.
  Grid in(int64_t rows, int64_t cols, Values values, bool strided = false);
  Grid out(int64_t rows, int64_t cols, bool strided = false);
  Grid inout(int64_t rows, int64_t cols, Values values, bool strided = false);
  const int32_t* labels(int64_t n, int64_t classes);

  void holds(float got, const Rounded& want);
  void equals(float got, float want);  // to the bit, but any NaN for a NaN
  // Within 2 units in the last place on an ISA with fma, 3 where a product and a sum are rounded apart.
  double ulps() const { return k.fused ? 2 : 3; }

  // Results; those that had to be NaN or an infinity; finite ones beside which the equation may overflow; those of
  // which nothing finite could be wrong. Kernels in which finite operands gave a NaN.
  int64_t compared = 0, special = 0, open = 0, boundless = 0;
  std::string nans_of_finite;
  std::vector<std::string> names() const { return names_; }
  // The largest share of its bound that an error took; of the planted faults, the least share that was seen.
  double worst = 0, least_seen = 1;
  std::string worst_name, least_name;
  // How many of the widths 1 to kTails, twice the widest loop of four vectors, operands had: the least of all kernels.
  static constexpr int64_t kTails = 128;
  size_t widths = kTails;
  std::string widths_name = "every kernel";
  // In how many of the first kTails columns special values stood, the least of all kernels.
  size_t lanes = kTails;
  std::string lanes_name = "every kernel";

 private:
  struct Operand {
    Grid grid;
    bool input, at_end;
    Floats copy;
  };
  void begin(const char* name);
  void start(int64_t number);
  void finish();
  void end();
  Grid place(int64_t rows, int64_t cols, bool strided, bool input);
  void fill(Operand& operand, Values values);
  void draw_specials(const Grid& grid);
  void fail(const char* what, double got, double want, double bound);

  int64_t first_, count_, number_ = 0, compared_ = 0, seen_ = 0, failed_ = 0, target_ = 0, tail_ = 0;
  std::bitset<kTails + 1> widths_;
  std::bitset<kTails> lanes_;
  bool nudge_, case_seen_ = false, special_ = false, drawn_special_ = false;
  uint64_t state_ = 0, name_hash_ = 0;
  std::string name_;
  std::vector<std::string> names_;
  std::vector<Operand> operands_;
  char* memory_ = nullptr;
};

void activation_cases(Cases& cases);
void layer_cases(Cases& cases);
void loss_cases(Cases& cases);
void optimizer_cases(Cases& cases);
void product_cases(Cases& cases);

}  // namespace lanewise
