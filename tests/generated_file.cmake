# FILE is the output of `mgl ${FLAGS}` (flags between bars); this says when it is stale.
string(REPLACE "|" ";" flags "${FLAGS}")
execute_process(COMMAND ${MGL} ${flags} OUTPUT_VARIABLE now RESULT_VARIABLE rc)
file(READ ${SOURCE}/${FILE} kept)
if(rc OR NOT now STREQUAL kept)
  list(JOIN flags " " flags)
  message(FATAL_ERROR "${FILE} is stale: run mgl ${flags} > ${FILE}")
endif()
