#include "engine/optimizer.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "engine/team.h"

namespace lanewise {

// --- the equations -------------------------------------------------------------------------------------------------

enum class Limit { kNone, kBelowOne, kOne };  // beside finite and >= 0

struct Hyper {
  const char* key;
  double value;
  Limit limit = Limit::kNone;
};

using Values = std::map<std::string, double>;

struct Equation {
  const char* name;
  OptimizerStep KernelTable::*kernel;
  std::vector<Hyper> hyper;
  // A slot is there always, or where the hyper-parameter beside it is not 0.
  std::vector<std::pair<const char*, const char*>> slots;
  // lr, rates, epsilon and decay are filled in; here what this equation has of its own. t = 1, 2, ... updates.
  void (*fill)(const Values& h, int64_t t, double lr, OptimizerArgs& args);
};

namespace {

float rounded(double x) { return static_cast<float>(x); }

// x^t by squaring: products alone, so that every platform gives the same bits (std::pow does not).
double power(double x, int64_t t) {
  double result = 1.0;
  for (; t > 0; t >>= 1, x *= x)
    if (t & 1) result *= x;
  return result;
}

// Never destroyed: a daemon thread may train while the process ends.
template <class T>
const T& kept(T value) {
  return *new T(std::move(value));
}

// Nadam's momentum of step i over beta_1, 1 - 0.96^i / 2, and the product of those of steps 1 to t.
double nadam_factor(int64_t i) { return 1.0 - 0.5 * power(0.96, i); }
double nadam_product(int64_t t) {
  constexpr size_t kAllOne = 1024;  // 0.96^i is below 2^-54 long before that
  static const std::vector<double>& products = kept([] {
    std::vector<double> list = {1.0};
    while (list.size() <= kAllOne) list.push_back(list.back() * nadam_factor(static_cast<int64_t>(list.size())));
    return list;
  }());
  return products[std::min(static_cast<size_t>(t), kAllOne)];
}

void fill_nadam(const Values& h, int64_t t, double lr, OptimizerArgs& a) {
  const double beta1 = h.at("beta_1"), now = nadam_product(t) * power(beta1, t);
  const double u = beta1 * nadam_factor(t), next = beta1 * nadam_factor(t + 1);
  a.lr = rounded(lr * (1.0 - u) / (1.0 - now));
  a.lr_mean = rounded(lr * next / (1.0 - now * next));
  a.scale = rounded(1.0 / std::sqrt(1.0 - power(h.at("beta_2"), t)));
}

void fill_adam(const Values& h, int64_t t, double lr, OptimizerArgs& a) {
  a.lr = rounded(lr * std::sqrt(1.0 - power(h.at("beta_2"), t)) / (1.0 - power(h.at("beta_1"), t)));
}

void fill_sgd(const Values& h, int64_t, double, OptimizerArgs& a) {
  a.beta1 = rounded(h.at("momentum"));
  a.nesterov = h.at("nesterov") != 0;
}

void fill_rmsprop(const Values& h, int64_t, double, OptimizerArgs& a) {
  a.beta1 = rounded(h.at("momentum"));
  a.centered = h.at("centered") != 0;
}

void fill_adamax(const Values& h, int64_t t, double lr, OptimizerArgs& a) {
  a.lr = rounded(lr / (1.0 - power(h.at("beta_1"), t)));
}

void fill_ftrl(const Values& h, int64_t, double lr, OptimizerArgs& a) {
  a.power = rounded(h.at("power"));
  a.l1 = rounded(h.at("l1"));
  a.l2 = rounded(2.0 * h.at("l2") + h.at("beta") / lr);
  a.shrinkage = rounded(2.0 * h.at("shrinkage"));
}

void fill_nothing(const Values&, int64_t, double, OptimizerArgs&) {}

const std::vector<Equation>& equations() {
  using T = KernelTable;
  constexpr Limit kBelowOne = Limit::kBelowOne, kOne = Limit::kOne;
  const std::vector<Hyper> adam = {{"beta_1", 0.9, kBelowOne}, {"beta_2", 0.999, kBelowOne}, {"epsilon", 1e-7}};
  const Hyper start = {"initial_accumulator_value", 0.1};
  static const std::vector<Equation>& list = kept(std::vector<Equation>{
      {"sgd",
       &T::sgd_step,
       {{"learning_rate", 0.01}, {"momentum", 0, kOne}, {"nesterov", 0}},
       {{"velocity", "momentum"}},
       fill_sgd},
      {"rmsprop",
       &T::rmsprop_step,
       {{"rho", 0.9, kBelowOne}, {"momentum", 0, kOne}, {"epsilon", 1e-7}, {"centered", 0}},
       {{"v", nullptr}, {"mean_gradient", "centered"}, {"momentum", "momentum"}},
       fill_rmsprop},
      {"adam", &T::adam_step, adam, {{"m", nullptr}, {"v", nullptr}}, fill_adam},
      {"amsgrad", &T::amsgrad_step, adam, {{"m", nullptr}, {"v", nullptr}, {"v_max", nullptr}}, fill_adam},
      {"adamax", &T::adamax_step, adam, {{"m", nullptr}, {"u", nullptr}}, fill_adamax},
      {"nadam", &T::nadam_step, adam, {{"m", nullptr}, {"v", nullptr}}, fill_nadam},
      {"adagrad", &T::adagrad_step, {start, {"epsilon", 1e-7}}, {{"accumulator", nullptr}}, fill_nothing},
      {"adadelta",
       &T::adadelta_step,
       {{"rho", 0.95, kBelowOne}, {"epsilon", 1e-7}},
       {{"accumulated_gradient", nullptr}, {"accumulated_step", nullptr}},
       fill_nothing},
      {"ftrl",
       &T::ftrl_step,
       {start, {"power", 0.5}, {"l1", 0}, {"l2", 0}, {"shrinkage", 0}, {"beta", 0}},
       {{"accumulator", nullptr}, {"linear", nullptr}},
       fill_ftrl},
      {"lion", &T::lion_step, {{"beta_1", 0.9, kOne}, {"beta_2", 0.99, kBelowOne}}, {{"m", nullptr}}, fill_nothing},
  });
  return list;
}

// What every optimizer has.
const std::vector<Hyper>& shared_hyper() {
  static const std::vector<Hyper>& list = kept(std::vector<Hyper>{{"learning_rate", 0.001},
                                                                  {"weight_decay", 0},
                                                                  {"clipnorm", 0},
                                                                  {"clipvalue", 0},
                                                                  {"global_clipnorm", 0},
                                                                  {"use_ema", 0, Limit::kOne},
                                                                  {"ema_momentum", 0.99, Limit::kOne},
                                                                  {"ema_overwrite_frequency", 0},
                                                                  {"gradient_accumulation_steps", 0}});
  return list;
}

Limit limit_of(const Equation& equation, const std::string& key) {
  for (const auto* list : {&equation.hyper, &shared_hyper()})
    for (const Hyper& h : *list)
      if (key == h.key) return h.limit;
  return Limit::kNone;
}

}  // namespace

// --- hyper-parameters ----------------------------------------------------------------------------------------------

Optimizer::Optimizer(const std::string& name, const std::map<std::string, double>& hyper) : equation_(nullptr) {
  for (const Equation& equation : equations())
    if (name == equation.name) equation_ = &equation;
  if (!equation_) {
    std::string known;
    for (const Equation& equation : equations()) known += (known.empty() ? "" : ", ") + std::string(equation.name);
    throw std::invalid_argument("Unknown optimizer. Expected one of: " + known + ". Received: '" + name + "'.");
  }
  for (const auto* list : {&shared_hyper(), &equation_->hyper})
    for (const Hyper& h : *list) hyper_[h.key] = h.value;
  for (const auto& [key, value] : hyper) set(key, value);
}

void Optimizer::set(const std::string& key, double value) {
  const std::lock_guard<ForkMutex<std::mutex>> lock(mutex_);
  const auto at = hyper_.find(key);
  if (at == hyper_.end()) throw std::invalid_argument("This optimizer has no hyper-parameter '" + key + "'.");
  const Limit limit = limit_of(*equation_, key);
  if (!std::isfinite(static_cast<float>(value)) || value < 0 || (limit == Limit::kOne && value > 1) ||
      (limit == Limit::kBelowOne && value >= 1))
    throw std::invalid_argument(key + ": expected a finite number >= 0" +
                                (limit == Limit::kNone  ? ""
                                 : limit == Limit::kOne ? " and <= 1"
                                                        : " and < 1") +
                                ". Received: " + std::to_string(value) + ".");
  if (at->second == value) return;
  const double before = std::exchange(at->second, value);
  if (!state_.empty() && names().size() != state_.begin()->second.slots->size()) {
    at->second = before;
    throw std::invalid_argument(key + ": expected a value with the same slots, now that there are some. Received: " +
                                std::to_string(value) + ".");
  }
}

double Optimizer::get(const std::string& key) const {
  const std::lock_guard<ForkMutex<std::mutex>> lock(mutex_);
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

void Optimizer::set_rates(int64_t first, std::vector<double> rates) {
  for (double rate : rates)
    if (!std::isfinite(static_cast<float>(rate)) || rate < 0)
      throw std::invalid_argument("rates: expected finite numbers >= 0. Received: " + std::to_string(rate) + ".");
  const std::lock_guard<ForkMutex<std::mutex>> lock(mutex_);
  first_rate_ = first;
  rates_ = std::move(rates);
}

void Optimizer::set_undecayed(std::vector<VariablePtr> variables) {
  const std::lock_guard<ForkMutex<std::mutex>> lock(mutex_);
  undecayed_ = std::move(variables);
}

bool Optimizer::decays(const Variable* variable) const {
  const std::lock_guard<ForkMutex<std::mutex>> lock(mutex_);
  return std::none_of(undecayed_.begin(), undecayed_.end(), [&](const VariablePtr& v) { return v.get() == variable; });
}

// --- slots ---------------------------------------------------------------------------------------------------------

std::vector<std::string> Optimizer::slot_names() const {
  const std::lock_guard<ForkMutex<std::mutex>> lock(mutex_);
  return names();
}

std::vector<std::string> Optimizer::names() const {
  std::vector<std::string> names;
  for (const auto& [slot, condition] : equation_->slots)
    if (!condition || value(condition) != 0) names.emplace_back(slot);
  if (value("use_ema") != 0) names.emplace_back("average");
  if (value("gradient_accumulation_steps") != 0) names.emplace_back("gradient_accumulator");
  return names;
}

Optimizer::Slots Optimizer::fresh(const Variable& variable) const {
  auto slots = std::make_shared<std::vector<Buffer<float>>>();
  for (const std::string& name : names()) {
    slots->push_back(Buffer<float>::zeros(variable.size()));
    float* slot = slots->back().data();
    if (name == "accumulator") std::fill_n(slot, variable.size(), rounded(value("initial_accumulator_value")));
    if (name == "average") std::copy_n(variable.data(), variable.size(), slot);
  }
  return slots;
}

Optimizer::Slots Optimizer::fresh_slots(const Variable& variable) const {
  const std::lock_guard<ForkMutex<std::mutex>> lock(mutex_);
  return fresh(variable);
}

Optimizer::Slots Optimizer::slots(const VariablePtr& variable) {
  const std::lock_guard<ForkMutex<std::mutex>> lock(mutex_);
  const auto found = state_.find(variable.get());
  if (found != state_.end() && found->second.slots->size() == names().size()) return found->second.slots;
  State begun{variable, fresh(*variable)};  // whole before it is kept
  return (state_[variable.get()] = std::move(begun)).slots;
}

bool Optimizer::has_slots(const Variable* variable) const {
  const std::lock_guard<ForkMutex<std::mutex>> lock(mutex_);
  return state_.count(variable) != 0;
}

void Optimizer::drop_slots(const Variable* variable) {
  const std::lock_guard<ForkMutex<std::mutex>> lock(mutex_);
  state_.erase(variable);
}

Optimizer::Slots Optimizer::copy_slot_pointers(const VariablePtr& variable, float** out) {
  Slots list = slots(variable);
  const std::vector<std::string> names = slot_names();
  std::fill_n(out, kMaxSlots, nullptr);
  for (size_t i = 0; i < list->size(); ++i) {
    const size_t at = names[i] == "average" ? kAverage : names[i] == "gradient_accumulator" ? kAccumulator : i;
    out[at] = (*list)[i].data();
  }
  return list;
}

// --- steps ---------------------------------------------------------------------------------------------------------

OptimizerStep Optimizer::step_kernel(const KernelTable& table) const { return table.*equation_->kernel; }

std::vector<StepArgs> Optimizer::arguments(int64_t t, int64_t count) const {
  const FloatEnvironment environment;
  const std::lock_guard<ForkMutex<std::mutex>> lock(mutex_);
  const auto every = std::max<int64_t>(1, static_cast<int64_t>(value("gradient_accumulation_steps")));
  const auto overwrite = static_cast<int64_t>(value("ema_overwrite_frequency"));
  const double rate = value("learning_rate"), decay = value("weight_decay"), average = value("ema_momentum");
  auto given = [&](const char* key) {
    const auto found = hyper_.find(key);
    return found == hyper_.end() ? 0.0 : found->second;
  };
  const double beta1 = given("beta_1"), beta2 = given("beta_2") + given("rho");  // an equation has one of them
  StepArgs common{};
  common.share = rounded(1.0 / static_cast<double>(every));
  common.equation.beta1 = rounded(beta1);
  common.equation.beta2 = rounded(beta2);
  common.equation.rate1 = rounded(1.0 - beta1);
  common.equation.rate2 = rounded(1.0 - beta2);
  common.equation.epsilon = rounded(given("epsilon"));
  std::vector<StepArgs> steps(static_cast<size_t>(count), common);
  for (StepArgs& step : steps) {
    const int64_t updates = (t - 1) / every, at = t - 1 - first_rate_;  // updates before this batch
    if (!rates_.empty() && (at < 0 || at >= static_cast<int64_t>(rates_.size())))
      throw std::logic_error("rates: none for batch " + std::to_string(t - 1) + ".");
    const double lr = rates_.empty() ? rate : rates_[static_cast<size_t>(at)];
    const double momentum = updates ? average : 0.0;  // the first average is the first weights
    step.update = t % every == 0;
    step.momentum = rounded(momentum);
    step.rate = rounded(1.0 - momentum);
    step.overwrite = overwrite && (updates + 1) % overwrite == 0;
    step.equation.lr = rounded(lr);
    step.equation.decay = rounded(decay * lr);
    equation_->fill(hyper_, updates + 1, lr, step.equation);
    ++t;
  }
  return steps;
}

}  // namespace lanewise
