// Floor 3: which ISA runs. Baseline code only.
#pragma once
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace lanewise {

// The active kernel table: the best supported ISA at import, or what LANEWISE_ISA or use_isa asked for.
const KernelTable& kernels();

std::vector<std::string> compiled_isas();   // best first
std::vector<std::string> available_isas();  // compiled and supported by this CPU, best first
// Throws std::invalid_argument for an unknown ISA or one that this CPU or build lacks.
void use_isa(const std::string& name);
// Called once at import: obeys the environment variable LANEWISE_ISA, else takes the best.
void initialise_dispatch();

std::vector<std::string> kernel_names();
std::string cpu_name();
std::string read_file(const std::string& path);  // "" where it cannot be read

}  // namespace lanewise
