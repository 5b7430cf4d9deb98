# Finds what weft is built from. Sets WEFT_PRIVATE_LIBRARIES (what the library links and no user sees), WEFT_HAS_ONEDNN,
# WEFT_HAS_CUDA (the backend is built) and WEFT_CUDA_INCLUDE (the toolkit's headers, which the simulator needs).

# GLOBAL: a project that embeds weft sees, through the static library, the targets found here.
find_package(Threads REQUIRED GLOBAL)
set(WEFT_CPU_LIBRARIES Threads::Threads)

set(WEFT_HAS_OPENMP FALSE)
if(NOT WEFT_SANITIZE STREQUAL "thread")  # the OpenMP runtime is not instrumented: every loop would look like a race
  find_package(OpenMP QUIET GLOBAL COMPONENTS CXX)
  if(OpenMP_CXX_FOUND)
    set(WEFT_HAS_OPENMP TRUE)
    list(APPEND WEFT_CPU_LIBRARIES OpenMP::OpenMP_CXX)
  endif()
endif()

find_package(Eigen3 3.3 QUIET NO_MODULE)
if(NOT TARGET Eigen3::Eigen)
  message(FATAL_ERROR "weft: Eigen 3.3 or newer is missing; install it (Debian: libeigen3-dev) or set Eigen3_DIR")
endif()
list(APPEND WEFT_CPU_LIBRARIES $<BUILD_INTERFACE:Eigen3::Eigen>)

find_package(nlohmann_json 3 QUIET)
if(NOT TARGET nlohmann_json::nlohmann_json)
  message(FATAL_ERROR "weft: nlohmann-json 3 is missing; install it (Debian: nlohmann-json3-dev) or set nlohmann_json_DIR")
endif()

# Never find_package(dnnl): the config of Debian's package stops the configure by asking for OpenCL.
set(WEFT_HAS_ONEDNN FALSE)
if(WEFT_ONEDNN)
  find_package(WeftOneDNN QUIET GLOBAL)
  if(WeftOneDNN_FOUND)
    set(WEFT_HAS_ONEDNN TRUE)
    list(APPEND WEFT_CPU_LIBRARIES weft::onednn)
  elseif(NOT WEFT_ONEDNN STREQUAL "AUTO")
    message(FATAL_ERROR "weft: WEFT_ONEDNN is ${WEFT_ONEDNN}, but dnnl.hpp and libdnnl were not found; install them "
      "(Debian: libdnnl-dev), set CMAKE_PREFIX_PATH, or say WEFT_ONEDNN=OFF to use Eigen")
  endif()
endif()
set(WEFT_PRIVATE_LIBRARIES ${WEFT_CPU_LIBRARIES})

find_path(WEFT_CUDA_INCLUDE cuda_runtime.h HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES include)
mark_as_advanced(WEFT_CUDA_INCLUDE)

set(WEFT_HAS_CUDA FALSE)
if(WEFT_CUDA)
  find_program(WEFT_NVCC nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
  mark_as_advanced(WEFT_NVCC)
  find_package(WeftCuDNN QUIET GLOBAL)
  if(WEFT_NVCC AND WeftCuDNN_FOUND)
    include(WeftCuda)
    set(WEFT_HAS_CUDA TRUE)
    list(APPEND WEFT_PRIVATE_LIBRARIES ${WEFT_CUDA_LIBRARIES})
  elseif(NOT WEFT_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "weft: WEFT_CUDA is ${WEFT_CUDA}, but nvcc (${WEFT_NVCC}) or cuDNN was not found; "
      "install them, set CUDA_PATH or CMAKE_PREFIX_PATH, or say WEFT_CUDA=OFF")
  endif()
endif()

if(WEFT_HAS_ONEDNN)
  set(products "oneDNN ${WeftOneDNN_VERSION}")
else()
  set(products Eigen)
endif()
message(STATUS "weft ${PROJECT_VERSION}: products by ${products}, OpenMP ${WEFT_HAS_OPENMP}, CUDA ${WEFT_HAS_CUDA}")
