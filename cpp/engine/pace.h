// One thread or the team: which of the two runs the same work faster, as measured while it runs.
#pragma once
#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>

namespace lanewise {

// More threads must never be slower than one, whatever else runs on the machine, and a machine changes. So what usually
// runs is measured in blocks of 10 ms, and now and then the other one is tried and compared with the blocks beside it.
// - A single event (another program has a CPU for 10 ms) changes nothing: the usual time is the median of three blocks,
//   and trials are averaged: of log(team / one), each between -0.7 and 0.7, the newer half.
// - A trial is short, 0.25 ms after as much to fill the caches and to wake a team that slept, which takes up to 3 ms:
//   only steps of 20 ms and more are counted from the first on. One in which the thread had no CPU for a tenth of the
//   time, by its own clock, says little of so short a time: it is repeated at a length that meets several turns of the
//   scheduler.
// - Where what usually runs begins to stall, with its first block or for two in a row, the next trial decides alone.
// - Trials may cost 2 % of all time, by what they were seen to cost, and the less the more often they change nothing;
//   but one a second at least, where it costs no more than that.
class Pace {
 public:
  // What runs next, and for how many seconds until it is asked again.
  bool team() const { return usual_ != trying_; }
  double ask() const { return std::max(0.0, (warming_ ? kShort : length()) - seconds_); }
  // How many steps that is, if those of one thread are thought to take `alone` until one is measured.
  double steps(double alone) const {
    const double measured = median(team()) > 0 ? median(team()) : median(!team());
    return std::max(1.0, ask() / (measured > 0 ? measured : alone));
  }
  // The team runs until something is known.
  void start_with_team() { usual_ = usual_ || median(false) == 0; }

  // Work of some steps took `seconds`, in which the calling thread ran for `cpu`.
  void record(bool team, double steps, double seconds, double cpu) {
    if (team != this->team()) {  // others have the threads: not the time for a trial
      if (trying_) end_trial();
      return;
    }
    wall_ += seconds;
    seconds_ += seconds;
    if (warming_ && steps * median(usual_) < kLongWork) {
      if (seconds_ >= kShort) begin(false);
      return;
    }
    warming_ = false;
    steps_ += steps;
    cpu_ += cpu;
    if (seconds_ < 0.9 * length()) return;
    const double per_step = seconds_ / steps_;
    const bool stalled = cpu_ < 0.9 * seconds_;
    const bool counts = !trying_ || !stalled || length() >= kBlock;
    if (stalled || length() >= kBlock) stalls_[team] = stalled;
    if (trying_)
      tried(per_step, counts);
    else
      ran(per_step, stalled);
  }

 private:
  static constexpr double kShort = 0.25e-3, kLong = 20e-3, kBlock = 10e-3, kLongWork = 20e-3;
  static constexpr double kShare = 0.02, kSecond = 1, kMost = 0.7, kSure = 0.2, kTie = 0.03, kChange = 1.3;

  double length() const {
    const double trial = stalls_[0] || stalls_[1] ? kLong : kShort;
    return trying_ || at_once_ ? trial : std::max(trial, kBlock);
  }
  void begin(bool warming) {
    warming_ = warming;
    seconds_ = steps_ = cpu_ = 0;
  }
  double median(bool team) const {
    const double *t = times_[team], a = std::min(t[0], t[1]), b = std::max(t[0], t[1]);
    return std::max(a, std::min(b, t[2]));
  }
  void keep(bool team, double per_step) {
    double* t = times_[team];
    if (t[0] == 0) t[1] = t[2] = per_step;  // the first of three
    t[next_ = (next_ + 1) % 3] = per_step;
    if (t[0] == 0) t[0] = per_step;
  }

  void ran(double per_step, bool stalled) {
    int& often = often_[usual_];
    often = std::clamp(often + (stalled ? 1 : -1), 0, 6);
    calm_[usual_] = calm_[usual_] || often == 0;
    if (calm_[usual_] && often >= (blocks_++ == 0 ? 1 : 2)) {  // it begins to stall: what was known is void
      for (double& t : times_[usual_]) t = per_step;
      calm_[usual_] = false;
      trials_ = 0;
      at_once_ = true;
    }
    const double before = median(usual_);
    if (before > 0 && (per_step > kChange * before || before > kChange * per_step)) patience_ = 1;
    keep(usual_, per_step);
    since_ += seconds_;
    const double patient = patience_ * cost_ / kShare;
    if (at_once_ || since_ >= std::min(patient, std::max(kSecond, cost_ / kShare))) {
      trying_ = true;
      wall_ = 0;
    }
    begin(trying_);
  }

  void tried(double per_step, bool counts) {
    const double usual = median(usual_);
    cost_ = std::max(0.25 * wall_, wall_ * (1 - usual / per_step));
    at_once_ = !counts && trials_ == 0 && patience_ == 1;  // the very first one met a stall: again, and longer
    if (at_once_) patience_ = 2;
    end_trial();
    if (counts) {
      const double other = std::clamp(std::log(per_step / usual), -kMost, kMost), r = usual_ ? -other : other;
      score_ = trials_++ == 0 ? r : 0.5 * (score_ + r);
      const double against = usual_ ? score_ : -score_;
      if (against > kTie) {
        usual_ = !usual_;
        patience_ = 1;
        blocks_ = 0;
        for (double& t : times_[usual_]) t = per_step;
        warming_ = false;
        return;
      }
      at_once_ = other < -kTie || (trials_ < 3 && std::abs(score_) < kSure);
      patience_ = other < -kTie ? 1 : std::min(64.0, 2 * patience_);
    }
  }
  void end_trial() {
    trying_ = false;
    since_ = 0;
    begin(true);
  }

  bool usual_ = false, trying_ = false, warming_ = true;
  bool stalls_[2] = {false, false};  // had no CPU at times, when last seen for long enough
  bool at_once_ = true;              // the next trial follows the next block
  int trials_ = 0, next_ = 0;
  int blocks_ = 0;               // of what usually runs, since it does
  int often_[2] = {0, 0};        // it stalled, lately: up for a block that did, down for one that did not
  bool calm_[2] = {true, true};  // it did not, until now
  double score_ = 0;             // mean log(team / one): negative: the team is faster
  double times_[2][3] = {{0, 0, 0}, {0, 0, 0}};  // of the last three blocks, seconds of a step
  double seconds_ = 0, steps_ = 0, cpu_ = 0;     // of the block that runs
  double wall_ = 0;                              // of the trial, with what came before it
  double since_ = 0, cost_ = 0, patience_ = 1;   // seconds since the last trial, what it cost
};

// Measures work for a Pace: the time that went by, and where it was long, the calling thread's own.
class Stopwatch {
 public:
  explicit Stopwatch(double expected) : begin_(Clock::now()), cpu_(expected > kWorthAsking ? thread_seconds() : -1) {}
  void record(Pace& pace, bool team, double steps) const {
    const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    pace.record(team, steps, seconds, cpu_ < 0 ? seconds : thread_seconds() - cpu_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr double kWorthAsking = 200e-6;  // the thread's clock is a system call of half a microsecond
  static double thread_seconds() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  }
  Clock::time_point begin_;
  double cpu_;
};

}  // namespace lanewise
