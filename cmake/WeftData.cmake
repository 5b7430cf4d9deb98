# weft::data: readers of images and label files (nn/data/), for which the core needs no image library.
file(GLOB data_sources CONFIGURE_DEPENDS nn/data/*.cpp)
if(NOT data_sources)
  return()
endif()
find_package(PNG QUIET)
find_package(JPEG QUIET)
find_package(ZLIB QUIET)
if(NOT PNG_FOUND OR NOT JPEG_FOUND OR NOT ZLIB_FOUND)
  message(STATUS "weft: no weft::data, for want of libpng (${PNG_FOUND}), libjpeg (${JPEG_FOUND}) or zlib (${ZLIB_FOUND})")
  return()
endif()
add_library(weft_data ${data_sources})
add_library(weft::data ALIAS weft_data)
weft_settings(weft_data)
target_link_libraries(weft_data PUBLIC weft PRIVATE PNG::PNG JPEG::JPEG ZLIB::ZLIB)
set_target_properties(weft_data PROPERTIES
  EXPORT_NAME data
  VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
