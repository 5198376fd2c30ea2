#include "tools/mgl/commands.h"
namespace mgl {
int run(const Args&) { return kUsage; }
int info(const Args&) { return kUsage; }
int inspect(const Args&) { return kUsage; }
int bench_device(const Args&) { return kUsage; }
}  // namespace mgl
