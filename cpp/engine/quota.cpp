#include "engine/quota.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "dispatch/dispatch.h"

namespace lanewise {
namespace {

constexpr size_t kLine = 4096;  // of /proc; a longer one is cut

// Lines of a file, one after another.
class Lines {
 public:
  explicit Lines(const std::string& path) : text_(read_file(path)) {}
  bool next(std::string& line) {
    if (at_ >= text_.size()) return false;
    const size_t end = std::min(text_.find('\n', at_), text_.size());
    line = text_.substr(at_, std::min(end - at_, kLine - 1));
    at_ = end + 1;
    return true;
  }

 private:
  std::string text_;
  size_t at_ = 0;
};

bool has_cpu(const char* list) { return ("," + std::string(list) + ",").find(",cpu,") != std::string::npos; }

// mountinfo writes a blank, a tab, a newline and a backslash as a backslash and three octal digits.
std::string unescaped(const char* text) {
  std::string out;
  for (; *text; ++text) {
    const bool escaped = *text == '\\' && std::strlen(text) > 3;
    out += escaped ? static_cast<char>(std::strtol(std::string(text + 1, 3).c_str(), nullptr, 8)) : *text;
    if (escaped) text += 3;
  }
  return out;
}

// CPUs that one group's own files allow; 0: no limit ("max", or -1 in version 1).
int limit_of(const std::string& folder, bool v2) {
  double quota = 0, period = 0;
  if (v2) {
    std::sscanf(read_file(folder + "/cpu.max").c_str(), "%lf %lf", &quota, &period);
  } else {
    quota = std::atof(read_file(folder + "/cpu.cfs_quota_us").c_str());
    period = std::atof(read_file(folder + "/cpu.cfs_period_us").c_str());
  }
  if (!(quota > 0) || !(period > 0)) return 0;
  return static_cast<int>(std::clamp((quota + period - 1) / period, 1.0, 1e6));
}

// Whether a group is `top` or lies in it.
bool within(const std::string& group, const std::string& top) {
  return group.compare(0, top.size(), top) == 0 && (group.size() == top.size() || group[top.size()] == '/');
}

}  // namespace

int cgroup_cpus(const std::string& root) {
  char controllers[kLine], top_text[kLine], place_text[kLine], options[kLine];
  std::string line, group[2];  // [1]: in the tree of version 2
  bool member[2] = {false, false};
  // "4:cpu,cpuacct:/a/b" in a tree of version 1, "0::/a/b" in that of version 2
  for (Lines file(root + "/proc/self/cgroup"); file.next(line);) {
    const size_t path = line.find('/');
    const bool v2 = line.compare(0, 3, "0::") == 0;
    if (path == line.npos) continue;
    if (!v2 && (std::sscanf(line.c_str(), "%*d:%4095[^:]", controllers) != 1 || !has_cpu(controllers))) continue;
    member[v2] = true;
    group[v2] = line.substr(path);
  }
  int least = 0;
  // "32 31 0:29 /top /sys/fs/cgroup/cpu rw,relatime shared:5 - cgroup cgroup rw,cpu": the group /top is seen there.
  for (Lines file(root + "/proc/self/mountinfo"); file.next(line);) {
    const char* rest = std::strstr(line.c_str(), " - cgroup");
    if (!rest || std::sscanf(line.c_str(), "%*s %*s %*s %4095s %4095s", top_text, place_text) != 2) continue;
    const bool v2 = std::strncmp(rest, " - cgroup2 ", 11) == 0;
    if (!member[v2] || (!v2 && (std::sscanf(rest, " - cgroup %*s %4095s", options) != 1 || !has_cpu(options))))
      continue;
    std::string top = unescaped(top_text);
    if (top == "/") top.clear();
    // In a namespace of its own a process may see the mount of a group above it ("/.."): that one's limit holds too,
    // but the way to its own is not known.
    std::string below;
    if (within(group[v2], top))
      below = group[v2].substr(top.size());
    else if (top.compare(0, 3, "/..") != 0)
      continue;
    if (below.find("/..") != std::string::npos || below == "/") below.clear();
    const std::string place = root + unescaped(place_text);
    for (;; below.resize(below.rfind('/'))) {  // the limit of a group holds for all within it
      const int cpus = limit_of(place + below, v2);
      if (cpus > 0) least = least == 0 ? cpus : std::min(least, cpus);
      if (below.empty()) break;
    }
  }
  return least;
}

}  // namespace lanewise
