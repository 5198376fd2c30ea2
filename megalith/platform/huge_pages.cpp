#include "megalith/platform/huge_pages.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace megalith {

void advise_huge_pages(void* begin, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  madvise(begin, bytes, MADV_HUGEPAGE);
#else
  static_cast<void>(begin), static_cast<void>(bytes);
#endif
}

}  // namespace megalith
