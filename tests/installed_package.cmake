# Installs the library into a fresh prefix, builds the examples against it with find_package, and runs one.
set(prefix ${BUILD}/installed)
file(REMOVE_RECURSE ${prefix} ${BUILD}/installed-examples)
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE rc OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(rc)
    message(FATAL_ERROR "${ARGN}\n${out}")
  endif()
endfunction()
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
run(${CMAKE_COMMAND} -S ${SOURCE}/examples -B ${BUILD}/installed-examples -DCMAKE_PREFIX_PATH=${prefix}
    -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_CXX_STANDARD=20)
run(${CMAKE_COMMAND} --build ${BUILD}/installed-examples)
run(${BUILD}/installed-examples/run_c ${MODEL})
