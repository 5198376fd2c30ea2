// Memory that a kernel needs for the time of one call: kept by the thread up to a bound, so that calls in a row do not
// ask the system for it again.
#pragma once

#include <memory>

#include "megalith/tensor.h"

namespace megalith {

// One of at most `kSlots` buffers of the calling thread that may be in use at once; `slot` tells them apart.
class Scratch {
 public:
  enum Slot : uint8_t { kTilesOfA, kPanelsOfB, kImage, kImage2, kFilter, kSums, kGates, kSlots };

  template <class T = float>
  static T* get(Slot slot, int64_t count) {
    return reinterpret_cast<T*>(bytes(slot, static_cast<size_t>(count) * sizeof(T)));
  }

  // Gives a buffer that is larger than the bound back; called when the work is done.
  static void release(Slot slot);

 private:
  static std::byte* bytes(Slot slot, size_t bytes);
  static constexpr size_t kKept = size_t{16} << 20;
};

}  // namespace megalith
