// hostile_tests mutations COUNT FOLDER: structured edits of the model files under a folder, always the same ones.
// hostile_tests files FOLDER: every file under a folder (what fuzzing found), as a model and as a .npy file.
// hostile_tests inputs FOLDER: the same, as what `mgl run --input` takes (tests/fuzz/inputs.cpp).
//
// hostile_tests unknown_operators IN OUT: writes a model again with two operators of unknown kinds.
//
// Each file has to give a result or one Error: no crash, no hang, no memory that its size doesn't justify. Each runs in
// a process of its own, so that whatever happens is one line of the report; the file is kept.
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>

#include "megalith/io/npy.h"
#include "tests/hostile/mutate.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

// The fuzz target `inputs`.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

// What operator new has given out and not got back.
std::atomic<size_t> live{0}, peak{0};

void* counted(void* p) {
  if (!p) return p;
  const size_t now = live += malloc_usable_size(p);
  for (size_t was = peak; now > was && !peak.compare_exchange_weak(was, now);) {
  }
  return p;
}
void give_back(void* p) {
  if (p) live -= malloc_usable_size(p);
  std::free(p);
}
void* or_throw(void* p) { return p ? p : throw std::bad_alloc(); }
void* aligned(size_t n, std::align_val_t a) {
  const auto align = static_cast<size_t>(a);
  return counted(std::aligned_alloc(align, (n + align - 1) / align * align));
}

}  // namespace

void* operator new(size_t n) { return or_throw(counted(std::malloc(n))); }
void* operator new(size_t n, const std::nothrow_t&) noexcept { return counted(std::malloc(n)); }
void* operator new(size_t n, std::align_val_t a) { return or_throw(aligned(n, a)); }
void* operator new(size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return aligned(n, a); }
void operator delete(void* p) noexcept { give_back(p); }
void operator delete(void* p, size_t) noexcept { give_back(p); }
void operator delete(void* p, std::align_val_t) noexcept { give_back(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { give_back(p); }

namespace {

constexpr size_t kValues = 256 << 10;  // memory limit of a run
constexpr int kOk = 0, kRefused = 10, kTooMuch = 11;

size_t allowed(size_t file) { return 16 * kValues + 64 * file + (size_t{2} << 20); }

struct Counts {
  int ok = 0, refused = 0, bad = 0;
};

// The child: exit code only, and what went wrong on stderr.
[[noreturn]] void child(const std::string& file, bool is_input) {
#ifdef SANITIZED
  alarm(200);
#else
  alarm(20);
  rlimit limit{1 << 30, 1 << 30};
  setrlimit(RLIMIT_AS, &limit);
#endif
  const size_t before = live;
  peak = before;
  std::string error;
  if (is_input) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(file.data()), file.size());
  } else {
    const auto bytes = std::as_bytes(std::span(file));
    error = hostile::try_model(bytes, kValues);
    try {
      megalith::read_npy(bytes);
    } catch (const megalith::Error&) {
    }
  }
  if (peak - before > allowed(file.size())) {
    std::fprintf(stderr, "took %zu bytes; a file of %zu justifies %zu (%s)\n", peak - before, file.size(),
                 allowed(file.size()), error.empty() ? "no error" : error.c_str());
    _exit(kTooMuch);
  }
  if (std::getenv("HOSTILE_VERBOSE")) std::fprintf(stderr, "%s\n", error.empty() ? "ok" : error.c_str());
  _exit(error.empty() ? kOk : kRefused);
}

void try_file(const std::string& file, const std::string& label, Counts& counts, bool is_input = false) {
  std::fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) child(file, is_input);
  int status = 0;
  waitpid(pid, &status, 0);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (code == kOk || code == kRefused) {
    ++(code == kOk ? counts.ok : counts.refused);
    return;
  }
  const std::string kept = "hostile_" + std::to_string(counts.bad++) + ".mge";
  std::ofstream(kept, std::ios::binary) << file;
  const std::string how = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "does not end"
                          : code == kTooMuch                                 ? "takes too much memory"
                                                                             : "crashes";
  std::printf("FAIL %s: %s (status %d, kept as %s)\n", label.c_str(), how.c_str(), status, kept.c_str());
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream f(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(f), {}};
}

int make_unknown(const char* in, const char* out) {
  std::string file = contents(in);
  int made = 0;
  for (const hostile::Site& s : hostile::Sites(file).all) {
    if (s.kind == hostile::Site::kTypeId && made < 2) hostile::poke(file, s.at, s.width, uint64_t{7700} + ++made);
  }
  std::ofstream(out, std::ios::binary) << file;
  return made == 2 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "unknown_operators" && argc == 4) return make_unknown(argv[2], argv[3]);
  const bool mutating = mode == "mutations" && argc == 4;
  if (!mutating && !((mode == "files" || mode == "inputs") && argc == 3)) {
    std::fprintf(stderr, "usage: hostile_tests mutations COUNT FOLDER | files FOLDER | inputs FOLDER\n");
    return 2;
  }
  std::vector<std::filesystem::path> paths;
  for (const auto& e : std::filesystem::recursive_directory_iterator(argv[argc - 1])) {
    if (!e.is_regular_file()) continue;
    if (!mutating || (e.path().extension() == ".mge" && e.file_size() < 64 << 10)) paths.push_back(e.path());
  }
  std::sort(paths.begin(), paths.end());
  Counts counts;
  if (mutating) {
    const auto n = static_cast<uint64_t>(std::atoll(argv[2]));
    for (uint64_t i = 0; i < n && !paths.empty(); ++i) {
      const auto& path = paths[hostile::Random(i).below(paths.size())];
      std::string file = contents(path);
      const std::string what = hostile::mutate(file, i);
      try_file(file, megalith::cat(path.string(), ", mutation ", i, ", ", what), counts);
    }
  } else {
    for (const auto& path : paths) try_file(contents(path), path.string(), counts, mode == "inputs");
  }
  std::printf("%d ran, %d were refused, %d failed\n", counts.ok, counts.refused, counts.bad);
  return counts.bad || paths.empty() ? 1 : 0;
}
