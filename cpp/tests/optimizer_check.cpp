// Ten steps of every optimizer against its equation in float64, on the active ISA.
#include <algorithm>
#include <functional>
#include <map>
#include <string>

#include "engine/optimizer.h"
#include "tests/check.h"

namespace lanewise {
namespace {

// w and the slots s of one weight after its gradient g, step t = 1, 2, ...; h gives a hyper-parameter.
using Hyper = std::function<double(const char*)>;
using Reference = void (*)(double& w, double (&s)[3], double g, int t, const Hyper& h);

// m += (g - m)(1 - b1), v += (g^2 - v)(1 - b2); returns lr * sqrt(1 - b2^t) / (1 - b1^t).
double adam_moments(double (&s)[3], double g, int t, const Hyper& h) {
  s[0] += (g - s[0]) * (1 - h("beta_1"));
  s[1] += (g * g - s[1]) * (1 - h("beta_2"));
  return h("learning_rate") * std::sqrt(1 - std::pow(h("beta_2"), t)) / (1 - std::pow(h("beta_1"), t));
}
double nadam_momentum(int t, const Hyper& h) { return h("beta_1") * (1 - 0.5 * std::pow(0.96, t)); }

const std::map<std::string, Reference> kReferences = {
    {"sgd",
     [](double& w, double (&s)[3], double g, int, const Hyper& h) {
       s[0] = h("momentum") * s[0] - h("learning_rate") * g;
       w += h("nesterov") != 0 ? h("momentum") * s[0] - h("learning_rate") * g : s[0];
     }},
    {"rmsprop",
     [](double& w, double (&s)[3], double g, int, const Hyper& h) {
       s[0] = h("rho") * s[0] + (1 - h("rho")) * g * g;
       s[1] = h("rho") * s[1] + (1 - h("rho")) * g;
       const double spread = s[0] - (h("centered") != 0 ? s[1] * s[1] : 0);
       s[2] = h("momentum") * s[2] + h("learning_rate") * g / std::sqrt(spread + h("epsilon"));
       w -= s[2];
     }},
    {"adam",
     [](double& w, double (&s)[3], double g, int t, const Hyper& h) {
       const double lr = adam_moments(s, g, t, h);
       w -= lr * s[0] / (std::sqrt(s[1]) + h("epsilon"));
     }},
    {"amsgrad",
     [](double& w, double (&s)[3], double g, int t, const Hyper& h) {
       const double lr = adam_moments(s, g, t, h);
       s[2] = std::max(s[2], s[1]);
       w -= lr * s[0] / (std::sqrt(s[2]) + h("epsilon"));
     }},
    {"adamax",
     [](double& w, double (&s)[3], double g, int t, const Hyper& h) {
       s[0] += (g - s[0]) * (1 - h("beta_1"));
       s[1] = std::max(h("beta_2") * s[1], std::fabs(g));
       w -= h("learning_rate") / (1 - std::pow(h("beta_1"), t)) * s[0] / (s[1] + h("epsilon"));
     }},
    {"nadam",
     [](double& w, double (&s)[3], double g, int t, const Hyper& h) {
       adam_moments(s, g, t, h);
       s[2] = (t == 1 ? 1 : s[2]) * nadam_momentum(t, h);  // the product of all momenta
       const double ahead = nadam_momentum(t + 1, h);
       const double mean = ahead * s[0] / (1 - s[2] * ahead) + (1 - nadam_momentum(t, h)) * g / (1 - s[2]);
       w -= h("learning_rate") * mean / (std::sqrt(s[1] / (1 - std::pow(h("beta_2"), t))) + h("epsilon"));
     }},
    {"adagrad",
     [](double& w, double (&s)[3], double g, int t, const Hyper& h) {
       s[0] = (t == 1 ? h("initial_accumulator_value") : s[0]) + g * g;
       w -= h("learning_rate") * g / std::sqrt(s[0] + h("epsilon"));
     }},
    {"adadelta",
     [](double& w, double (&s)[3], double g, int, const Hyper& h) {
       s[0] = h("rho") * s[0] + (1 - h("rho")) * g * g;
       const double d = std::sqrt(s[1] + h("epsilon")) * g / std::sqrt(s[0] + h("epsilon"));
       s[1] = h("rho") * s[1] + (1 - h("rho")) * d * d;
       w -= h("learning_rate") * d;
     }},
    {"ftrl",
     [](double& w, double (&s)[3], double g, int t, const Hyper& h) {
       const double lr = h("learning_rate"), before = t == 1 ? h("initial_accumulator_value") : s[0];
       s[0] = before + g * g;
       const double power = std::pow(s[0], h("power")), sigma = (power - std::pow(before, h("power"))) / lr;
       s[1] += g + 2 * h("shrinkage") * w - sigma * w;
       const double clipped = std::clamp(s[1], -h("l1"), h("l1"));
       w = (clipped - s[1]) / (power / lr + 2 * h("l2") + h("beta") / lr);
     }},
    {"lion",
     [](double& w, double (&s)[3], double g, int, const Hyper& h) {
       const double c = h("beta_1") * s[0] + (1 - h("beta_1")) * g;
       w -= h("learning_rate") * (c > 0 ? 1 : c < 0 ? -1 : 0);
       s[0] = h("beta_2") * s[0] + (1 - h("beta_2")) * g;
     }},
};

}  // namespace

std::map<std::string, Hash> check_optimizers(const KernelTable& k, const std::vector<int64_t>& sizes) {
  const std::vector<std::pair<std::string, std::map<std::string, double>>> cases = {
      {"sgd", {}},
      {"sgd", {{"momentum", 0.9}}},
      {"sgd", {{"momentum", 0.9}, {"nesterov", 1}}},
      {"adam", {}},
      {"adam", {{"weight_decay", 0.01}}},
      {"rmsprop", {}},
      {"rmsprop", {{"centered", 1}, {"momentum", 0.5}}},
      {"amsgrad", {{"beta_2", 0.9}}},
      {"adamax", {}},
      {"nadam", {{"weight_decay", 0.01}}},
      {"adagrad", {}},
      {"adadelta", {{"learning_rate", 1}}},
      {"ftrl", {{"learning_rate", 0.1}}},
      {"ftrl", {{"learning_rate", 0.1}, {"power", 0.75}, {"l1", 0.1}, {"l2", 0.2}, {"shrinkage", 0.1}, {"beta", 0.1}}},
      {"lion", {}}};
  std::map<std::string, Hash> hashes;
  for (const auto& [name, hyper] : cases) {
    for (int64_t n : sizes) {
      Optimizer optimizer(name, hyper);
      const Hyper h = [&](const char* key) { return optimizer.get(key); };
      auto variable = std::make_shared<Variable>(std::vector<int64_t>{n});
      Floats w = random_floats(n), average(w.size());
      std::vector<double> reference(w.begin(), w.end()), mean(w.size());
      std::vector<double[3]> state(w.size());
      float* slots[Optimizer::kMaxSlots];
      optimizer.copy_slot_pointers(variable, slots);
      for (int t = 1; t <= 10; ++t) {
        const Floats g = random_floats(n);
        optimizer.step_kernel(k)(w.data(), g.data(), slots, n, optimizer.arguments(t, 1)[0].equation);
        k.average_step(w.data(), average.data(), 0.75f, 0.25f, n);
        for (size_t i = 0; i < w.size(); ++i) {
          reference[i] -= h("weight_decay") * h("learning_rate") * reference[i];
          kReferences.at(name)(reference[i], state[i], static_cast<double>(g[i]), t, h);
          mean[i] = 0.75 * mean[i] + 0.25 * static_cast<double>(w[i]);
          expect_within(k.isa, name.c_str(), n, w[i], reference[i], 2e-5);
          expect_within(k.isa, "average_step", n, average[i], mean[i], 1e-5);
        }
      }
      hashes[name + "_step"].add(w);
      hashes["average_step"].add(average);
    }
  }
  return hashes;
}

}  // namespace lanewise
