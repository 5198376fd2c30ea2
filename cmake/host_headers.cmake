# For cross-builds: headers of header-only libraries are the host's. Only they: the rest of /usr/include belongs to another
# machine.
set(host_headers ${CMAKE_BINARY_DIR}/host_headers)
file(MAKE_DIRECTORY ${host_headers})
foreach(library nlohmann doctest hwy)
  if(EXISTS /usr/include/${library})
    file(CREATE_LINK /usr/include/${library} ${host_headers}/${library} SYMBOLIC)
  endif()
endforeach()
set(CMAKE_CXX_FLAGS_INIT "-isystem ${host_headers}")
set(DOCTEST_INCLUDE ${host_headers} CACHE PATH "doctest")
set(HIGHWAY_INCLUDE ${host_headers} CACHE PATH "Highway")
