# Finds what weft is built from. Sets WEFT_PRIVATE_LIBRARIES (what the library links and no user sees), WEFT_HAS_ONEDNN,
# WEFT_HAS_JSON, WEFT_HAS_CUDA (the backend is built), WEFT_HAS_NCCL (with it) and WEFT_CUDA_INCLUDE (the toolkit's
# headers, which the simulator needs).

# A library of headers: that in WEFT_HEADERS if it is there, else a package of the system.
macro(weft_find_headers target header)  # then the arguments of find_package
  if(WEFT_HEADERS AND EXISTS "${WEFT_HEADERS}/${header}" AND NOT TARGET ${target})
    add_library(${target} INTERFACE IMPORTED GLOBAL)
    target_include_directories(${target} SYSTEM INTERFACE "${WEFT_HEADERS}")
  elseif(NOT TARGET ${target})
    find_package(${ARGN})
  endif()
endmacro()

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

weft_find_headers(Eigen3::Eigen Eigen/Core Eigen3 3.3 QUIET NO_MODULE)
if(NOT TARGET Eigen3::Eigen)
  message(FATAL_ERROR "weft: Eigen 3.3 or newer is missing; install it (Debian: libeigen3-dev), "
    "set Eigen3_DIR, or set WEFT_HEADERS to a folder with Eigen/Core")
endif()
list(APPEND WEFT_CPU_LIBRARIES $<BUILD_INTERFACE:Eigen3::Eigen>)

set(WEFT_HAS_JSON FALSE)
if(WEFT_JSON)
  weft_find_headers(nlohmann_json::nlohmann_json nlohmann/json.hpp nlohmann_json 3 QUIET)
  if(TARGET nlohmann_json::nlohmann_json)
    set(WEFT_HAS_JSON TRUE)
  elseif(NOT WEFT_JSON STREQUAL "AUTO")
    message(FATAL_ERROR "weft: WEFT_JSON is ${WEFT_JSON}, but nlohmann-json 3 was not found; install it "
      "(Debian: nlohmann-json3-dev), set nlohmann_json_DIR, or say WEFT_JSON=OFF to do without safetensors files")
  endif()
endif()
if(NOT WEFT_HAS_JSON)
  message(STATUS "weft: no safetensors files and no checkpoints, for want of nlohmann-json")
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
set(WEFT_HAS_NCCL FALSE)
if(WEFT_CUDA)
  find_program(WEFT_NVCC nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
  mark_as_advanced(WEFT_NVCC)
  find_package(WeftCuDNN QUIET GLOBAL)
  if(WEFT_NVCC AND WeftCuDNN_FOUND)
    if(WEFT_NCCL)
      find_package(WeftNCCL QUIET GLOBAL)
      set(WEFT_HAS_NCCL ${WeftNCCL_FOUND})
      if(NOT WEFT_HAS_NCCL AND NOT WEFT_NCCL STREQUAL "AUTO")
        message(FATAL_ERROR "weft: WEFT_NCCL is ${WEFT_NCCL}, but nccl.h and libnccl were not found; install them, set "
          "CUDA_PATH or CMAKE_PREFIX_PATH, or say WEFT_NCCL=OFF to sum gradients by copies")
      endif()
    endif()
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
message(STATUS "weft ${PROJECT_VERSION}: products by ${products}, OpenMP ${WEFT_HAS_OPENMP}, CUDA ${WEFT_HAS_CUDA}, NCCL ${WEFT_HAS_NCCL}")
