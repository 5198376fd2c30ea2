// mgl rewrite: reads a model and writes it again, in its own format or the other one, as it is or after graph passes.
#include <cstdio>

#include "megalith/io/mge/reader.h"
#include "megalith/io/mge/writer.h"
#include "megalith/passes.h"
#include "tools/mgl/commands.h"

namespace mgl {

int rewrite(const Args& args) {
  Options o(args);
  std::string format = o.value("format", "");
  std::string passes = o.value("passes", "");
  const Args rest = o.rest();
  if (rest.size() != 2) throw UsageError{"rewrite needs a model file and the file to write"};
  if (!format.empty() && format != "FBS" && format != "FBS_V2")
    throw UsageError{"--format is FBS or FBS_V2, not '" + format + "'"};
  megalith::MgeFile file = open_model(rest[0]);
  if (format.empty()) format = file.format;  // FBS_V0 is only read; it becomes FBS
  while (!passes.empty()) {
    const size_t comma = passes.find(',');
    megalith::run_pass(file.graph, passes.substr(0, comma));
    passes = comma == passes.npos ? "" : passes.substr(comma + 1);
  }
  megalith::write_mge(rest[1], file.graph,
                      {.format = format == "FBS_V2" ? megalith::MgeFormat::kFbsV2 : megalith::MgeFormat::kFbs,
                       .test_cases = file.cases});
  return kOk;
}

}  // namespace mgl
