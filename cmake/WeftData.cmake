# weft::data: readers of images and label files (nn/data/), for which the core needs no image library.
file(GLOB data_sources CONFIGURE_DEPENDS nn/data/*.cpp)
if(NOT data_sources)
  return()
endif()
# GLOBAL: a project that embeds weft sees, through the static library, the targets found here.
find_package(PNG QUIET GLOBAL)
find_package(JPEG QUIET GLOBAL)
find_package(ZLIB QUIET GLOBAL)
if(NOT PNG_FOUND OR NOT JPEG_FOUND OR NOT ZLIB_FOUND)
  message(STATUS "weft: no weft::data, for want of libpng (${PNG_FOUND}), libjpeg (${JPEG_FOUND}) or zlib (${ZLIB_FOUND})")
  return()
endif()
set(WEFT_DATA_LIBRARIES PNG::PNG JPEG::JPEG ZLIB::ZLIB)
weft_objects(weft_data_objects "${data_sources}")  # which tests link, as they do weft's
target_link_libraries(weft_data_objects PRIVATE ${WEFT_DATA_LIBRARIES})
add_library(weft_data $<TARGET_OBJECTS:weft_data_objects>)
add_library(weft::data ALIAS weft_data)
weft_usage(weft_data)
target_link_libraries(weft_data PUBLIC weft PRIVATE ${WEFT_DATA_LIBRARIES})
set_target_properties(weft_data PROPERTIES
  LINKER_LANGUAGE CXX
  EXPORT_NAME data
  VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
