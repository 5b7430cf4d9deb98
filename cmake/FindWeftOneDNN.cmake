# oneDNN (dnnl.hpp, libdnnl) as weft::onednn. Debian's own package config cannot be used: it asks for OpenCL.
find_path(WeftOneDNN_INCLUDE_DIR dnnl.hpp)
find_library(WeftOneDNN_LIBRARY dnnl)
mark_as_advanced(WeftOneDNN_INCLUDE_DIR WeftOneDNN_LIBRARY)

if(WeftOneDNN_INCLUDE_DIR)
  foreach(header oneapi/dnnl/dnnl_version.h dnnl_version.h)
    if(EXISTS "${WeftOneDNN_INCLUDE_DIR}/${header}")
      file(STRINGS "${WeftOneDNN_INCLUDE_DIR}/${header}" lines REGEX "#define DNNL_VERSION_(MAJOR|MINOR|PATCH) ")
      string(REGEX REPLACE "[^0-9;]+" "" numbers "${lines}")
      string(REPLACE ";" "." WeftOneDNN_VERSION "${numbers}")
      if(WeftOneDNN_VERSION)
        break()
      endif()
    endif()
  endforeach()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(WeftOneDNN
  REQUIRED_VARS WeftOneDNN_LIBRARY WeftOneDNN_INCLUDE_DIR VERSION_VAR WeftOneDNN_VERSION)

if(WeftOneDNN_FOUND AND NOT TARGET weft::onednn)
  add_library(weft::onednn UNKNOWN IMPORTED)
  set_target_properties(weft::onednn PROPERTIES
    IMPORTED_LOCATION "${WeftOneDNN_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${WeftOneDNN_INCLUDE_DIR}")
endif()
