// Weights in the order in which a kernel reads them, made once.
//
// Kernels that read one operand again and again (matrix products, convolutions, recurrent layers) bring it into their
// own order first. For tensors whose storage is frozen (parameters and constants of a plan, eager tensors) that copy is
// kept with the storage and dies with it. The first request only leaves a mark, so that operands which are used once,
// as activations and trained weights are, cost no memory.
#pragma once

#include "megalith/exec.h"
#include "megalith/tensor.h"

namespace megalith {

// What `fill` writes into `bytes` bytes (64-byte aligned) for this tensor and `key`, which says how it is packed: two
// requests with the same key must want the same bytes.
std::shared_ptr<Storage> packed(const Tensor& t, uint64_t key, size_t bytes, FunctionRef<void(std::byte*)> fill);

// The same for copies that cost more than they save one call: null unless they are kept, that is, at the first request
// and for tensors that may change.
std::shared_ptr<Storage> packed_again(const Tensor& t, uint64_t key, size_t bytes, FunctionRef<void(std::byte*)> fill);

}  // namespace megalith
