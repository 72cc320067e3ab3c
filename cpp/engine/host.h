// Operations that a person wrote in Python: losses, metrics, activations, layers. The engine knows only this interface;
// thread 0 of the team calls it, with barriers before and after where others read what it writes.
#pragma once
#include <cstdint>
#include <vector>

namespace lanewise {

// An array of the engine's during one call: float32, or int32 labels. data null: not there.
struct HostArray {
  void* data;
  std::vector<int64_t> shape;
  bool labels = false;
};

class Host {
 public:
  enum class Stage {
    kForward,   // x, each variable -> y. scale: 1 where a backward pass follows, else 0
    kBackward,  // dy -> dx (null: not wanted)
    kGradient,  // -> gradient of variable number `scale` of the backward pass before it
    kRows,      // prediction, target -> one value for each row. scale: 1 where kSlope follows, else 0
    kSlope,     // prediction, target, weights (null: none) -> gradient of scale * sum of weight * row
    kUndo,      // nothing: what the forward pass before it has changed of its weights is to be as it was
  };
  virtual ~Host() = default;
  // May throw; `training` says whether dropout and the like are on.
  virtual void call(Stage stage, const std::vector<HostArray>& arrays, bool training, double scale) = 0;
  int64_t target_width = 0;  // of a loss: floats of the target of a sample; 0: like the prediction
  bool target_labels = false;
  bool ends_gradient = false;  // of a layer: whether no gradient goes through it (0 * infinity would be NaN before it)
};

}  // namespace lanewise
