# docs/ops.json is the output of `mgl inspect --ops`; this says when it is stale.
execute_process(COMMAND ${MGL} inspect --ops OUTPUT_VARIABLE now RESULT_VARIABLE rc)
file(READ ${FILE} kept)
if(rc OR NOT now STREQUAL kept)
  message(FATAL_ERROR "docs/ops.json is stale: run mgl inspect --ops > docs/ops.json")
endif()
