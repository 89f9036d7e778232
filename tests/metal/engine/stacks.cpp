// The stacks of fibers, once a process.

#include "fiber.h"

namespace engine {

std::vector<char*> stacks;

}  // namespace engine
