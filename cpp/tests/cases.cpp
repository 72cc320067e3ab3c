// What the random cases share: memory, draws, comparisons.
#include "tests/cases.h"

#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <utility>

namespace lanewise {
namespace {

constexpr int kRegions = 16;
constexpr int64_t kRegionBytes = 2 << 20, kSlack = 64;  // floats beside an operand that must stay as they are
constexpr uint32_t kPoison = 0x7FC0BEEF;                // a NaN
const float kSpecial[] = {NAN,       INFINITY,        -INFINITY,       0.0f, -0.0f, 0x1p-149f, -0x1p-149f,
                          0x1p-126f, 0x1.fffffep127f, -0x1.fffffep127f};

int64_t page() { return sysconf(_SC_PAGESIZE); }
int64_t stride() { return kRegionBytes + page(); }

const char* g_isa = "";
const char* g_name = "";
int64_t g_number = 0;
// An operand's guard page was touched: says whose, and ends the process.
void on_fault(int) {
  char text[200];
  const int n = std::snprintf(text, sizeof text, "FAIL %s %s case %lld: touches what is not its own\n", g_isa, g_name,
                              static_cast<long long>(g_number));
  (void)!write(1, text, static_cast<size_t>(n));
  _exit(3);
}

void poison(float* p, int64_t n) {
  for (int64_t i = 0; i < n; ++i) std::memcpy(p + i, &kPoison, 4);
}
bool poisoned(const float* p, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    if (std::memcmp(p + i, &kPoison, 4) != 0) return false;
  return true;
}

}  // namespace

Cases::Cases(const KernelTable& table, int64_t first, int64_t count, bool nudge)
    : k(table), first_(first), count_(count), nudge_(nudge) {
  const auto bytes = static_cast<size_t>(kRegions * stride() + page());
  void* got = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (got == MAP_FAILED) std::abort();
  memory_ = static_cast<char*>(got);
  for (int i = 0; i <= kRegions; ++i)
    if (mprotect(memory_ + i * stride(), static_cast<size_t>(page()), PROT_NONE) != 0) std::abort();
  g_isa = k.isa;
  std::signal(SIGSEGV, on_fault);
  std::signal(SIGBUS, on_fault);
}
Cases::~Cases() {
  munmap(memory_, static_cast<size_t>(kRegions * stride() + page()));
  std::signal(SIGSEGV, SIG_DFL);
  std::signal(SIGBUS, SIG_DFL);
}

bool Cases::asked(const char* name) {
  const char* const some = std::getenv("KERNELS");
  return some == nullptr || (' ' + std::string(some) + ' ').find(' ' + std::string(name) + ' ') != std::string::npos;
}

void Cases::begin(const char* name) {
  name_ = name, g_name = name;
  names_.push_back(name_);
  name_hash_ = 14695981039346656037ull;
  for (const char c : name_) name_hash_ = (name_hash_ ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  seen_ = failed_ = 0;
  widths_.reset(), lanes_.reset();
}
void Cases::start(int64_t number) {
  number_ = g_number = number;
  state_ = name_hash_ + static_cast<uint64_t>(number) * 0xD1B54A32D192ED03ull;
  operands_.clear();
  tail_ = number % 3 == 0 ? 1 + number / 3 * 37 % kTails : 0;  // 37: a few cases have short and long ones
  special_ = !nudge_ && number % 3 == 1, drawn_special_ = false;
  if (special_ && coin()) tail_ = 1 + below(kTails + 32);
  compared_ = 0, target_ = !nudge_ ? -1 : number % 2 ? 0 : below(4), case_seen_ = false;
}
void Cases::end() {
  const double seen = static_cast<double>(seen_) / static_cast<double>(count_);
  if (nudge_ && seen < least_seen) least_seen = seen, least_name = name_;
  if (widths_.count() < widths) widths = widths_.count(), widths_name = name_;
  if (lanes_.count() < lanes) lanes = lanes_.count(), lanes_name = name_;
}

// SplitMix64.
uint64_t Cases::word() {
  uint64_t z = state_ += 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}
float Cases::uniform(float low, float high) {
  return low + (high - low) * static_cast<float>(word() >> 40) * (1.0f / 16777216.0f);
}
float Cases::value(Values values) {
  const float sign = coin() ? 1.0f : -1.0f;
  switch (values) {
    case Values::kWide:
      return sign * uniform(1, 2) * std::ldexp(1.0f, static_cast<int>(below(40)) - 20);
    case Values::kTiny:
      return sign * (below(3) == 0 ? 0.0f : std::ldexp(uniform(0, 2), static_cast<int>(below(40)) - 149));
    case Values::kWhole:
      return static_cast<float>(below(17)) - 8.0f;
    case Values::kPositive:
      return uniform(1, 2) * std::ldexp(1.0f, static_cast<int>(below(9)) - 6);
    case Values::kAbove:
      return uniform(1, 2) * std::ldexp(1.0f, -1 - static_cast<int>(below(20)));
    case Values::kProbability: {
      const int64_t way = below(16);
      if (way < 10) return uniform(0.02f, 0.98f);
      const float low = way < 15 ? uniform(1, 2) * std::ldexp(1.0f, -1 - static_cast<int>(below(40))) : 0.0f;
      return coin() ? low : 1 - low;
    }
    default:
      return uniform(-2, 2);
  }
}
int64_t Cases::length(int64_t most) {
  if (tail_ > 0) return std::exchange(tail_, 0);
  if (most > 0) return 1 + below(most);
  const int64_t way = below(20);
  if (way < 12) return 1 + below(33);
  if (way < 15) return 1 + below(97);
  if (way < 19) return (int64_t{64} << below(5)) - 1 + below(3);
  return 1 + below(1100);
}

Grid Cases::place(int64_t rows, int64_t cols, bool strided, bool input) {
  const int64_t ld = cols + (strided && coin() ? 1 + below(20) : 0), n = (rows - 1) * ld + cols;
  const bool at_end = coin();
  if (operands_.size() == kRegions || n * 4 > kRegionBytes) {
    std::fprintf(stderr, "%s case %lld: no room for an operand of %lld floats\n", g_name,
                 static_cast<long long>(number_), static_cast<long long>(n));
    std::abort();
  }
  auto* region = reinterpret_cast<float*>(memory_ + static_cast<int64_t>(operands_.size()) * stride() + page());
  const int64_t room = kRegionBytes / 4, slack = std::min(kSlack, room - n);
  Grid grid{at_end ? region + room - n : region, rows, cols, ld};
  poison(at_end ? grid.p - slack : grid.p, n + slack);
  operands_.push_back({grid, input, at_end, {}});
  return grid;
}
void Cases::fill(Operand& operand, Values values) {
  const Values kinds[] = {Values::kPlain, Values::kPlain, Values::kWide,
                          Values::kTiny,  Values::kWhole, Values::kScaled};
  const Values above[] = {Values::kPositive, Values::kAbove};
  const Values kind = values == Values::kAny ? kinds[below(6)] : values == Values::kAbove ? above[below(2)] : values;
  const Grid& g = operand.grid;
  const float scale =
      std::ldexp(1.0f, kind == Values::kScaled || kind == Values::kAbove ? static_cast<int>(below(254)) - 126 : 0);
  for (int64_t r = 0; r < g.rows; ++r)
    for (int64_t c = 0; c < g.cols; ++c) g(r, c) = scale * value(kind);
  if (special_ && below(3) > 0) draw_specials(g);
  if (operand.input) operand.copy.assign(g.p, g.p + (g.rows - 1) * g.ld + g.cols);
}
// In one element, or up to an eighth of them: the first goes through all lanes from case to case.
void Cases::draw_specials(const Grid& g) {
  const int64_t many = coin() ? 1 : 1 + below(1 + g.rows * g.cols / 8), all = std::size(kSpecial);
  const auto draw = [&] { return kSpecial[std::max<int64_t>(0, below(all + 3) - 3)]; };  // NaN, the first, more often
  const bool one = coin();
  const float same = draw();
  for (int64_t i = 0; i < many; ++i) {
    const int64_t c = (i == 0 ? number_ / 3 * 37 : below(g.cols)) % g.cols;
    g(below(g.rows), c) = one ? same : draw();
    if (c < kTails) lanes_.set(static_cast<size_t>(c));
  }
  drawn_special_ = true;
}
Grid Cases::in(int64_t rows, int64_t cols, Values values, bool strided) {
  const Grid grid = place(rows, cols, strided, true);
  fill(operands_.back(), values);
  return grid;
}
Grid Cases::out(int64_t rows, int64_t cols, bool strided) { return place(rows, cols, strided, false); }
Grid Cases::inout(int64_t rows, int64_t cols, Values values, bool strided) {
  const Grid grid = place(rows, cols, strided, false);
  fill(operands_.back(), values);
  return grid;
}
const int32_t* Cases::labels(int64_t n, int64_t classes) {
  const Grid grid = place(1, n, false, true);
  auto* label = reinterpret_cast<int32_t*>(grid.p);
  for (int64_t i = 0; i < n; ++i) {
    const auto drawn = static_cast<int32_t>(below(classes));
    std::memcpy(label + i, &drawn, 4);
  }
  operands_.back().copy.assign(grid.p, grid.p + n);
  return label;
}

void Cases::finish() {
  for (const Operand& o : operands_) {
    const Grid& g = o.grid;
    if (g.cols <= kTails) widths_.set(static_cast<size_t>(g.cols));
    const int64_t n = (g.rows - 1) * g.ld + g.cols, slack = std::min(kSlack, kRegionBytes / 4 - n);
    if (!poisoned(o.at_end ? g.p - slack : g.p + n, slack)) fail("writes beside an array", 0, 0, 0);
    for (int64_t r = 0; r + 1 < g.rows; ++r)
      if (!poisoned(g.p + r * g.ld + g.cols, g.ld - g.cols)) fail("writes between rows", 0, 0, 0);
    if (o.input && std::memcmp(g.p, o.copy.data(), o.copy.size() * 4) != 0) fail("writes to an input", 0, 0, 0);
  }
  if (compared_ == 0) fail("compares nothing", 0, 0, 0);
  compared += compared_;
  seen_ += case_seen_;
}

void Cases::fail(const char* what, double got, double want, double bound) {
  if (nudge_) {
    case_seen_ = true;
    return;
  }
  ++g_failures;
  if (++failed_ <= 2)
    std::printf("FAIL %s %s case %lld: %s: got %.9g, expected %.9g +- %.3g\n", k.isa, name_.c_str(),
                static_cast<long long>(number_), what, got, want, bound);
}
void Cases::holds(float got, const Rounded& want) {
  if (compared_++ == target_) got = got * 1.015625f + 1e-30f;  // the planted fault
  const unsigned kind = kind_of(got);
  const double error = kind == kFinite ? std::fabs(static_cast<double>(got) - want.v) : 0;
  if (!(kind & want.may)) return fail(want.finite() ? "kind" : "special value", got, want.v, want.e);
  if (!(error <= want.e)) fail("bound", got, want.v, want.e);
  if (nudge_) return;
  special += !want.finite() || std::fabs(want.v) - want.e > kMost;
  open += want.may > kFinite && want.may & kFinite;
  boundless += want.finite() && want.e - std::fabs(want.v) > kMost;
  if (kind == kNan && !drawn_special_ && nans_of_finite.find(' ' + name_ + ' ') == std::string::npos)
    nans_of_finite += (nans_of_finite.empty() ? " " : "") + name_ + ' ';
  if (kind == kFinite && want.e > 0 && error / want.e > worst) worst = error / want.e, worst_name = name_;
}
void Cases::equals(float got, float want) {
  if (compared_++ == target_) got = got * 1.015625f + 1e-30f;
  if (std::memcmp(&got, &want, 4) != 0 && !(std::isnan(got) && std::isnan(want))) fail("exact", got, want, 0);
}

}  // namespace lanewise
