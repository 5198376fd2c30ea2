#include "megalith/kernels/scratch.h"

#include <array>

namespace megalith {
namespace {
thread_local std::array<std::shared_ptr<Storage>, Scratch::kSlots> buffers;
}

std::byte* Scratch::bytes(Slot slot, size_t bytes) {
  std::shared_ptr<Storage>& s = buffers[slot];
  if (!s || s->bytes() < bytes) {
    s.reset();
    s = Storage::allocate(bytes);
  }
  return s->data();
}

void Scratch::release(Slot slot) {
  std::shared_ptr<Storage>& s = buffers[slot];
  if (s && s->bytes() > kKept) s.reset();
}

}  // namespace megalith
