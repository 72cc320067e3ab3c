#include "engine/optimizer.h"

#include <cmath>
#include <stdexcept>
#include <utility>

#include "engine/team.h"

namespace lanewise {

Optimizer::Optimizer(const std::string& name, const std::map<std::string, double>& hyper) {
  hyper_ = {{"clipnorm", 0}, {"clipvalue", 0}, {"global_clipnorm", 0}, {"weight_decay", 0}};
  if (name == "sgd") {
    kind_ = Kind::kSgd;
    hyper_.insert({{"learning_rate", 0.01}, {"momentum", 0}, {"nesterov", 0}});
  } else if (name == "adam") {
    kind_ = Kind::kAdam;
    hyper_.insert({{"learning_rate", 0.001}, {"beta_1", 0.9}, {"beta_2", 0.999}, {"epsilon", 1e-7}});
  } else if (name == "rmsprop") {
    kind_ = Kind::kRmsprop;
    hyper_.insert({{"learning_rate", 0.001}, {"rho", 0.9}, {"momentum", 0}, {"epsilon", 1e-7}, {"centered", 0}});
  } else {
    throw std::invalid_argument("Unknown optimizer. Expected one of: sgd, adam, rmsprop. Received: '" + name + "'.");
  }
  for (const auto& [key, value] : hyper) set(key, value);
}

void Optimizer::set(const std::string& key, double value) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto at = hyper_.find(key);
  if (at == hyper_.end()) throw std::invalid_argument("This optimizer has no hyper-parameter '" + key + "'.");
  const bool share = key == "beta_1" || key == "beta_2" || key == "rho" || key == "momentum";
  if (!std::isfinite(value) || value < 0 || (share && (key == "momentum" ? value > 1 : value >= 1)))
    throw std::invalid_argument(key + ": expected a finite number >= 0" +
                                (!share              ? ""
                                 : key == "momentum" ? " and <= 1"
                                                     : " and < 1") +
                                ". Received: " + std::to_string(value) + ".");
  if (at->second == value) return;
  const double before = std::exchange(at->second, value);
  if (!state_.empty() && names().size() != state_.begin()->second.slots.size()) {
    at->second = before;
    throw std::invalid_argument(key + ": expected a value with the same slots, now that there are some. Received: " +
                                std::to_string(value) + ".");
  }
}

double Optimizer::get(const std::string& key) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return value(key);
}

double Optimizer::value(const std::string& key) const {
  const auto at = hyper_.find(key);
  if (at == hyper_.end()) throw std::invalid_argument("This optimizer has no hyper-parameter '" + key + "'.");
  return at->second;
}

void Optimizer::set_iterations(int64_t n) {
  if (n < 0) throw std::invalid_argument("iterations: expected at least 0. Received: " + std::to_string(n) + ".");
  iterations_ = n;
}

std::vector<std::string> Optimizer::slot_names() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return names();
}

std::vector<std::string> Optimizer::names() const {
  std::vector<std::string> names;
  switch (kind_) {
    case Kind::kSgd:
      if (value("momentum") != 0) names = {"velocity"};
      break;
    case Kind::kAdam:
      names = {"m", "v"};
      break;
    case Kind::kRmsprop:
      names = {"v"};
      if (value("centered") != 0) names.push_back("mean_gradient");
      if (value("momentum") != 0) names.push_back("momentum");
      break;
  }
  return names;
}

std::vector<Buffer<float>>& Optimizer::slots(const VariablePtr& variable) {
  const std::lock_guard<std::mutex> lock(mutex_);
  State& state = state_[variable.get()];
  const size_t wanted = names().size();
  if (!state.keep || state.slots.size() != wanted) {
    std::vector<Buffer<float>> fresh;
    for (size_t i = 0; i < wanted; ++i) fresh.push_back(Buffer<float>::zeros(variable->size()));
    state.slots = std::move(fresh);
    state.keep = variable;
  }
  return state.slots;
}

void Optimizer::copy_slot_pointers(const VariablePtr& variable, float** out) {
  auto& list = slots(variable);
  for (size_t i = 0; i < kMaxSlots; ++i) out[i] = i < list.size() ? list[i].data() : nullptr;
}

OptimizerStep Optimizer::step_kernel(const KernelTable& table) const {
  switch (kind_) {
    case Kind::kSgd:
      return table.sgd_step;
    case Kind::kAdam:
      return table.adam_step;
    default:
      return table.rmsprop_step;
  }
}

// x^t by squaring: products alone, so that every platform gives the same bits (std::pow does not).
static double power(double x, int64_t t) {
  double result = 1.0;
  for (; t > 0; t >>= 1, x *= x)
    if (t & 1) result *= x;
  return result;
}

OptimizerArgs Optimizer::arguments(int64_t t) const {
  const FloatEnvironment environment;
  const std::lock_guard<std::mutex> lock(mutex_);
  OptimizerArgs args{};
  double lr = value("learning_rate");
  args.decay = static_cast<float>(value("weight_decay") * lr);
  switch (kind_) {
    case Kind::kSgd:
      args.beta1 = static_cast<float>(value("momentum"));
      args.nesterov = value("nesterov") != 0;
      break;
    case Kind::kAdam: {
      const double beta1 = value("beta_1"), beta2 = value("beta_2");
      lr = lr * std::sqrt(1.0 - power(beta2, t)) / (1.0 - power(beta1, t));
      args.beta1 = static_cast<float>(beta1);
      args.beta2 = static_cast<float>(beta2);
      args.rate1 = static_cast<float>(1.0 - beta1);
      args.rate2 = static_cast<float>(1.0 - beta2);
      args.epsilon = static_cast<float>(value("epsilon"));
      break;
    }
    case Kind::kRmsprop:
      args.beta1 = static_cast<float>(value("momentum"));
      args.beta2 = static_cast<float>(value("rho"));
      args.rate2 = static_cast<float>(1.0 - value("rho"));
      args.epsilon = static_cast<float>(value("epsilon"));
      args.centered = value("centered") != 0;
      break;
  }
  args.lr = static_cast<float>(lr);
  return args;
}

}  // namespace lanewise
