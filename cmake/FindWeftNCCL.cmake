# NCCL (nccl.h, libnccl) as weft::nccl, or its header alone for the simulator: WeftNCCL_INCLUDE_DIR. Python's packages have
# the library under its versioned name alone.
find_path(WeftNCCL_INCLUDE_DIR nccl.h HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES include)
find_library(WeftNCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES lib64 lib)
mark_as_advanced(WeftNCCL_INCLUDE_DIR WeftNCCL_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(WeftNCCL REQUIRED_VARS WeftNCCL_LIBRARY WeftNCCL_INCLUDE_DIR)

if(WeftNCCL_FOUND AND NOT TARGET weft::nccl)
  add_library(weft::nccl UNKNOWN IMPORTED)
  set_target_properties(weft::nccl PROPERTIES
    IMPORTED_LOCATION "${WeftNCCL_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${WeftNCCL_INCLUDE_DIR}")
endif()
