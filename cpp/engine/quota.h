// How many CPUs the control groups of this process let it use.
#pragma once
#include <string>

namespace lanewise {

// ceil(quota / period) of the tightest CPU quota on the way from this process's control group to the root, of version 2
// (cpu.max) and version 1 (cpu.cfs_quota_us) alike; 0 where there is none. Files are read below `root`: tests make
// trees of their own.
int cgroup_cpus(const std::string& root = "");

}  // namespace lanewise
