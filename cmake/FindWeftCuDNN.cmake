# cuDNN (cudnn.h, libcudnn) as weft::cudnn. Python's packages have the library under its versioned name alone.
find_path(WeftCuDNN_INCLUDE_DIR cudnn.h HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES include)
find_library(WeftCuDNN_LIBRARY NAMES cudnn libcudnn.so.9 HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES lib64 lib)
mark_as_advanced(WeftCuDNN_INCLUDE_DIR WeftCuDNN_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(WeftCuDNN REQUIRED_VARS WeftCuDNN_LIBRARY WeftCuDNN_INCLUDE_DIR)

if(WeftCuDNN_FOUND AND NOT TARGET weft::cudnn)
  add_library(weft::cudnn UNKNOWN IMPORTED)
  set_target_properties(weft::cudnn PROPERTIES
    IMPORTED_LOCATION "${WeftCuDNN_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${WeftCuDNN_INCLUDE_DIR}")
endif()
