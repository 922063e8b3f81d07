# FindDNNL: oneDNN's C library, any 2.x from 2.6 or 3.x. Gives the target DNNL::dnnl.
# Looked for by hand, because the config file of distributions may ask for OpenCL, and no .pc file exists.
find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.h)
find_library(DNNL_LIBRARY dnnl)
mark_as_advanced(DNNL_INCLUDE_DIR DNNL_LIBRARY)

if(DNNL_INCLUDE_DIR)
  set(DNNL_VERSION "")
  foreach(part MAJOR MINOR PATCH)
    file(STRINGS ${DNNL_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h line REGEX "define DNNL_VERSION_${part} ")
    string(REGEX MATCH "[0-9]+" number "${line}")
    list(APPEND DNNL_VERSION ${number})
  endforeach()
  list(JOIN DNNL_VERSION . DNNL_VERSION)
  # Steps run in OpenMP workers of ours, made for one thread each: another kind of threads would not obey.
  file(STRINGS ${DNNL_INCLUDE_DIR}/oneapi/dnnl/dnnl_config.h line
       REGEX "define DNNL_CPU_RUNTIME DNNL_RUNTIME_(OMP|SEQ)")
  if(line)
    set(DNNL_RUNTIME_FITS TRUE)
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DNNL REQUIRED_VARS DNNL_LIBRARY DNNL_INCLUDE_DIR DNNL_RUNTIME_FITS
                                  VERSION_VAR DNNL_VERSION)

if(DNNL_FOUND AND NOT TARGET DNNL::dnnl)
  add_library(DNNL::dnnl UNKNOWN IMPORTED)
  set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_LOCATION ${DNNL_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE_DIR})
endif()
