# Turns CUDA on: the language, the architectures and the libraries (WEFT_CUDA_LIBRARIES).
# Included, not called: enable_language() works in the scope of the folder that compiles CUDA.

if(NOT CMAKE_CUDA_COMPILER)
  set(CMAKE_CUDA_COMPILER "${WEFT_NVCC}")
endif()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  # One 90-virtual, so that later devices compile it when they load it.
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 90-real 90-virtual
    CACHE STRING "Architectures that the kernels are compiled for")
endif()
enable_language(CUDA)

# CMake 3.25 does not know that nvcc 13 speaks C++20.
foreach(kind STANDARD EXTENSION)
  if(NOT CMAKE_CUDA20_${kind}_COMPILE_OPTION)
    set(CMAKE_CUDA20_${kind}_COMPILE_OPTION -std=c++20)
  endif()
endforeach()

find_package(CUDAToolkit REQUIRED GLOBAL)
# The runtime shared: cuBLAS and cuDNN bring it along, and two runtimes in one process do not know of each other.
# The driver (-lcuda) is never linked: a program that links it does not start on a machine without one.
set(WEFT_CUDA_LIBRARIES CUDA::cudart CUDA::cublas weft::cudnn)
if(WEFT_HAS_NCCL)
  list(APPEND WEFT_CUDA_LIBRARIES weft::nccl)
endif()
