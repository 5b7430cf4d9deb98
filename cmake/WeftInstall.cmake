# Installs the libraries, the public headers, the CMake package and the pkg-config file; all of it relocatable.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(WEFT_PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/weft")
set(weft_libraries weft)
set(WEFT_HAS_DATA FALSE)
if(TARGET weft_data)
  set(WEFT_HAS_DATA TRUE)
  list(APPEND weft_libraries weft_data)
endif()
install(TARGETS ${weft_libraries} EXPORT weft
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT weft NAMESPACE weft:: FILE weft-targets.cmake DESTINATION "${WEFT_PACKAGE_DIR}")

# tensor/cpu and cuda are nobody's business but weft's.
foreach(folder tensor autograd nn parallel)
  if(IS_DIRECTORY "${PROJECT_SOURCE_DIR}/${folder}")
    install(DIRECTORY "${folder}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/weft"
      FILES_MATCHING PATTERN "*.h" PATTERN "tensor/cpu" EXCLUDE)
  endif()
endforeach()
install(FILES weft.h "${WEFT_INCLUDE}/weft/version.h" "${WEFT_INCLUDE}/weft/ops.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/weft")

configure_package_config_file(cmake/weft-config.cmake.in "${WEFT_GENERATED}/weft-config.cmake"
  INSTALL_DESTINATION "${WEFT_PACKAGE_DIR}")
write_basic_package_version_file("${WEFT_GENERATED}/weft-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${WEFT_GENERATED}/weft-config.cmake" "${WEFT_GENERATED}/weft-config-version.cmake"
  cmake/FindWeftOneDNN.cmake cmake/FindWeftCuDNN.cmake cmake/FindWeftNCCL.cmake DESTINATION "${WEFT_PACKAGE_DIR}")

# pkg-config: a static weft needs its libraries named to every user, a shared one has them inside.
set(pc_libraries "")
if(NOT BUILD_SHARED_LIBS)
  string(APPEND pc_libraries " -pthread")
  if(WEFT_HAS_OPENMP)
    string(APPEND pc_libraries " ${OpenMP_CXX_FLAGS}")
  endif()
  if(WEFT_HAS_ONEDNN)
    string(APPEND pc_libraries " -ldnnl")
  endif()
  if(WEFT_HAS_CUDA)
    string(APPEND pc_libraries " -L${CUDAToolkit_LIBRARY_DIR} -lcudart -lcublas -lcudnn")
    if(WEFT_HAS_NCCL)
      string(APPEND pc_libraries " -lnccl")
    endif()
  endif()
endif()
file(RELATIVE_PATH pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file(cmake/weft.pc.in "${WEFT_GENERATED}/weft.pc" @ONLY)
install(FILES "${WEFT_GENERATED}/weft.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
if(TARGET weft_data)
  set(pc_data_requires "")
  if(NOT BUILD_SHARED_LIBS)
    set(pc_data_requires " libpng libjpeg zlib")
  endif()
  configure_file(cmake/weft-data.pc.in "${WEFT_GENERATED}/weft-data.pc" @ONLY)
  install(FILES "${WEFT_GENERATED}/weft-data.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endif()

if(PROJECT_IS_TOP_LEVEL)
  set(CPACK_GENERATOR TGZ DEB)
  set(CPACK_PACKAGE_NAME libweft-dev)
  set(CPACK_PACKAGE_CONTACT "The weft authors")
  set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
  set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
  include(CPack)
endif()
