// How vector kernels of elementwise ops go through memory: in the order of the result, block by block, with operands
// that are broadcast or lie in another order brought into blocks.
#pragma once

#include "megalith/exec.h"

namespace megalith::elemwise {

constexpr int kMaxOperands = 8;
constexpr int64_t kWalkBlock = 512;  // elements of a block while something has to be brought into one

// Floats somewhere in memory.
struct Array {
  float* data = nullptr;
  const Layout* layout = nullptr;
};
inline Array array_of(const Tensor& t) { return {t.data<float>(), &t.layout()}; }

// One block: operand k has its i-th element at in[k][i * step[k]]; a step of 0 means rows::kRepeat equal values.
struct Block {
  const float* in[kMaxOperands];
  int64_t step[kMaxOperands];
  float* out;
  int64_t n;
};

// Calls fn for every block of `out`, whose shape the operands are broadcast to, on all threads. Blocks are longer than
// `most` nowhere. Results may depend on neither the length of blocks nor their order.
void walk(std::span<const Array> in, const Array& out, int64_t most, Exec& exec, FunctionRef<void(const Block&)> fn);

}  // namespace megalith::elemwise
