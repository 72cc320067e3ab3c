// One thread or the team, on machines made up here: their clock is a sum, their noise the generator of check.h.
#include <cmath>

#include "engine/pace.h"
#include "tests/check.h"

namespace lanewise {
namespace {

// What steps cost on a machine: their time, and stalls, times without a CPU that come after so much work.
struct Machine {
  struct Way {
    double step, every = 0, stall = 0;
    double mean() const { return step * (every > 0 ? 1 + stall / every : 1); }
  };
  Way ways[2];
  double wake = 0;  // what the first work of a team that slept takes longer
  bool awake = false;
  double now = 0, best = 0;  // seconds: that went by, that the better way would have taken
  double in_team = 0;

  // One slice of a training.
  void run(Pace& pace, int64_t steps) {
    while (steps > 0) {
      const bool team = pace.team();
      const double n = std::min(std::floor(pace.steps(20e-6)), static_cast<double>(steps));
      const Way& way = ways[team];
      const double work = n * way.step * (1 + draw(0.03f)) + (team && !awake ? wake : 0);
      awake = team;
      double stalled = 0;
      for (double chance = way.every > 0 ? work / way.every : 0; chance > 0; chance -= 1)
        if (draw(0.5f) + 0.5 < chance) stalled += way.stall * (1 + draw(0.9f));
      pace.record(team, n, work + stalled, work);
      now += work + stalled;
      best += n * std::min(ways[0].mean(), ways[1].mean());
      in_team += team ? work + stalled : 0;
      steps -= static_cast<int64_t>(n);
    }
  }
  // Runs until the clock shows `until`; returns the time taken over the better way's.
  double run_until(Pace& pace, double until, int64_t slice) {
    const double begin = now, ideal = best;
    in_team = 0;
    while (now < until) run(pace, slice);
    in_team /= now - begin;
    return (now - begin) / (best - ideal);
  }
};

void expect_pace(const char* what, double ratio, double most) { expect(ratio <= most, "pace", what, 0, ratio, most); }

}  // namespace

void check_pace() {
  {  // a quiet machine, steps from 12 us to 40 ms, slices of a thousand steps and of one
    const double pairs[][2] = {{12e-6, 21e-6}, {40e-6, 29e-6}, {500e-6, 280e-6}, {400e-6, 900e-6}, {40e-3, 21e-3}};
    for (const auto& pair : pairs)
      for (int64_t slice : {1, 7, 1000}) {
        Machine machine{{{pair[0]}, {pair[1]}}};
        Pace pace;
        if (pair[0] > 2e-3) pace.start_with_team();
        expect_pace("first 100 ms", machine.run_until(pace, std::max(0.1, 8 * pair[0]), slice), 1.09);
        expect_pace("2 s", machine.run_until(pace, machine.now + 2, slice), 1.03);
      }
  }
  {  // a team that slept takes 2.5 ms to wake up
    const double pairs[][2] = {{310e-6, 200e-6}, {1.5e-3, 0.8e-3}, {2.8e-3, 1.45e-3}, {9e-3, 5e-3}, {40e-3, 21e-3}};
    for (const auto& pair : pairs)
      for (int64_t slice : {1, 8}) {
        Machine machine{{{pair[0]}, {pair[1]}}, 2.5e-3};
        Pace pace;
        if (pair[0] > 2e-3) pace.start_with_team();
        machine.run_until(pace, 0.5, slice);
        expect_pace("a team that slept", machine.run_until(pace, machine.now + 2, slice), 1.04);
        // it became slow for a while, and is not any more
        machine.ways[1].step = 3 * pair[0];
        machine.run_until(pace, machine.now + 1, slice);
        machine.ways[1].step = pair[1];
        machine.run_until(pace, machine.now + 2, slice);
        expect_pace("a team that was slow", machine.run_until(pace, machine.now + 2, slice), 1.04);
      }
  }
  {  // the very first trial meets a stall of 4 ms
    Machine machine{{{2.8e-3}, {1.45e-3}}, 2.5e-3};
    Pace pace;
    bool met = false;
    while (!met) {
      met = pace.team() && machine.awake;
      if (met)
        pace.record(true, 1, 5.5e-3, 1.7e-3);
      else
        machine.run(pace, 1);
    }
    machine.run_until(pace, 0.15, 8);
    expect_pace("a stall in the first trial", machine.run_until(pace, machine.now + 1, 8), 1.04);
  }
  {  // another program has a CPU for 30 ms, once a second: nothing changes
    Machine machine{{{500e-6}, {280e-6}}};
    Pace pace;
    machine.run_until(pace, 0.5, 100);
    for (int i = 0; i < 20; ++i) {
      pace.record(pace.team(), 100, 58e-3, 28e-3);
      expect_pace("after a single event", machine.run_until(pace, machine.now + 1, 100), 1.04);
      expect_pace("one thread after a single event", 1 - machine.in_team, 0.05);
    }
  }
  {  // the other CPU is taken, then free, then taken
    Machine machine{{{500e-6}, {280e-6}}};
    Pace pace;
    machine.run_until(pace, 1, 100);
    for (int i = 0; i < 5; ++i) {
      machine.ways[1] = {280e-6, 2.5e-3, 5e-3};
      machine.run_until(pace, machine.now + 1.5, 100);
      expect_pace("a busy machine", machine.run_until(pace, machine.now + 2, 100), 1.08);
      expect_pace("team on a busy machine", machine.in_team, 0.1);
      machine.ways[1] = {280e-6};
      machine.run_until(pace, machine.now + 2.5, 100);
      expect_pace("a free machine", machine.run_until(pace, machine.now + 2, 100), 1.04);
    }
  }
  {  // the other CPU is taken from the start
    double taken = 0, best = 0;
    for (int i = 0; i < 20; ++i) {
      Machine machine{{{528e-6}, {280e-6, 1.4e-3, 3e-3}}};
      Pace pace;
      machine.run_until(pace, 0.5, 8);
      taken += machine.now, best += machine.best;
    }
    expect_pace("a machine that is busy from the start", taken / best, 1.08);
  }
  {  // both ways stall; short looks at the team see it faster
    Machine machine{{{310e-6, 12e-3, 5e-3}, {200e-6, 2.5e-3, 5e-3}}};
    Pace pace;
    machine.run_until(pace, 1, 200);
    expect_pace("stalls", machine.run_until(pace, 30, 200), 1.08);
  }
  {  // other calls have all threads: the team is asked for, one thread comes
    Pace pace;
    int asked = 0;
    for (int i = 0; i < 1000; ++i) asked += pace.team(), pace.record(false, 1, 1e-3, 1e-3);
    expect(asked > 2 && asked < 400, "pace", "trials without threads", 0, asked, 0);
  }
}

}  // namespace lanewise
