// NumPy's .npy files, versions 1 to 3.
#pragma once

#include <span>
#include <string>

#include "megalith/tensor.h"

namespace megalith {

// Throws InputError for damaged files and for types that no tensor has. int64 becomes Int32 when every value fits.
Tensor read_npy(const std::string& path);
Tensor read_npy(std::span<const std::byte> bytes);

std::string npy_bytes(const Tensor& t);
void write_npy(const std::string& path, const Tensor& t);

}  // namespace megalith
