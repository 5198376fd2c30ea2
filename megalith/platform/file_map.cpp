#include "megalith/platform/file_map.h"

#include <cerrno>
#include <cstring>

#include "megalith/error.h"

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define MEGALITH_HAS_MMAP 1
#else
#include <cstdio>
#endif

namespace megalith {

#ifdef MEGALITH_HAS_MMAP
FileMap::FileMap(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw Error(cat("can't open ", path, ": ", std::strerror(errno)));
  struct stat st{};
  if (::fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    ::close(fd);
    throw Error(cat("can't read ", path, ": not a regular file"));
  }
  const auto size = static_cast<size_t>(st.st_size);
  if (size > 0) {
    void* p = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p != MAP_FAILED) {
      bytes_ = {static_cast<const std::byte*>(p), size};
      mapped_ = true;
    } else {  // some file systems can't be mapped
      read_.resize(size);
      for (size_t at = 0; at < size;) {
        const ssize_t n = ::read(fd, read_.data() + at, size - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
          const int error = errno;
          ::close(fd);
          throw Error(cat("can't read ", path, ": ", n < 0 ? std::strerror(error) : "it became shorter"));
        }
        at += static_cast<size_t>(n);
      }
      bytes_ = read_;
    }
  }
  ::close(fd);
}

FileMap::~FileMap() {
  if (mapped_) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}
#else
FileMap::FileMap(const std::string& path) {
  std::FILE* f = std::fopen(path.c_str(), "rb");
  if (!f) throw Error(cat("can't open ", path, ": ", std::strerror(errno)));
  std::byte block[1 << 16];
  for (size_t n; (n = std::fread(block, 1, sizeof block, f)) > 0;) read_.insert(read_.end(), block, block + n);
  std::fclose(f);
  bytes_ = read_;
}
FileMap::~FileMap() = default;
#endif

}  // namespace megalith
