// A file in memory, read-only: mapped where the platform can, read otherwise.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace megalith {

class FileMap {
 public:
  explicit FileMap(const std::string& path);  // throws Error
  ~FileMap();
  FileMap(const FileMap&) = delete;
  FileMap& operator=(const FileMap&) = delete;
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
  std::vector<std::byte> read_;
  bool mapped_ = false;
};

}  // namespace megalith
