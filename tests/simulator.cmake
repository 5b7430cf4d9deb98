# weft_tests_sim: the same test objects beside the CUDA backend compiled for the simulator. Host files compile as they are
# against NVIDIA's headers; .cu files compile as C++ with the hooks of -fsanitize=thread, which the simulator answers.
# WEFT_HAS_SIMULATOR says whether it is built.

set(WEFT_HAS_SIMULATOR FALSE)
if(NOT WEFT_SIMULATOR)
  return()
endif()
file(GLOB host_files CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cuda/*.cpp" "${PROJECT_SOURCE_DIR}/cuda/*.cu"
  "${PROJECT_SOURCE_DIR}/cuda/ops/*.cpp")
file(GLOB kernel_files CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cuda/ops/*.cu")
find_package(WeftCuDNN QUIET)
find_package(WeftNCCL QUIET)
set(sim_nccl TRUE)
if(NOT WeftNCCL_INCLUDE_DIR)
  set(sim_nccl FALSE)
  list(FILTER host_files EXCLUDE REGEX "/cuda/nccl[^/]*$")
  message(STATUS "weft: NCCL's header (nccl.h) was not found: the simulator runs collectives by copies")
endif()

set(reason "")
if(NOT host_files OR NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/cuda_sim/CMakeLists.txt")
  set(reason "this tree has no CUDA backend or no simulator")
elseif(NOT WEFT_CUDA_INCLUDE OR NOT WeftCuDNN_INCLUDE_DIR)
  set(reason "CUDA's headers (cuda_runtime.h, cudnn.h) were not found")
elseif(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(reason "its fibers are written for x86-64")
elseif(WEFT_SANITIZE)
  set(reason "it answers the sanitizer's hooks itself")
endif()
if(reason)
  if(NOT WEFT_SIMULATOR STREQUAL "AUTO")
    message(FATAL_ERROR "weft: WEFT_SIMULATOR is ${WEFT_SIMULATOR}, but ${reason}")
  endif()
  message(STATUS "weft: tests of the CUDA backend in the simulator are skipped: ${reason}")
  return()
endif()
set(WEFT_HAS_SIMULATOR TRUE)

add_library(weft_sim_headers INTERFACE)
target_include_directories(weft_sim_headers SYSTEM INTERFACE "${WEFT_CUDA_INCLUDE}" "${WeftCuDNN_INCLUDE_DIR}")
if(sim_nccl)
  target_include_directories(weft_sim_headers SYSTEM INTERFACE "${WeftNCCL_INCLUDE_DIR}")
endif()

# The simulator's weft/cuda/platform.cuh comes before the real one.
function(weft_sim_settings target)
  weft_settings(${target})
  target_include_directories(${target} BEFORE PRIVATE "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/cuda_sim/include")
  target_compile_definitions(${target} PRIVATE WEFT_SIDE=cuda WEFT_ISA=sm)
  target_link_libraries(${target} PRIVATE weft_sim_headers)
endfunction()

add_subdirectory(cuda_sim)  # weft_sim: the engine, and every cuda*, cublas*, cudnn*, nccl* function that weft calls

set(folder "${WEFT_GENERATED}/sim")
weft_stems(stems ${kernel_files})
foreach(file IN LISTS host_files)
  if(file MATCHES "/cuda/ops/")
    weft_stems(stem "${file}")
    list(APPEND stems "${stem}")
  endif()
endforeach()
weft_write_backends("${folder}" "${stems}" TRUE ${sim_nccl})

add_library(weft_sim_host OBJECT ${host_files} "${folder}/backends.cpp" "${folder}/cuda_plugs.cpp")
weft_sim_settings(weft_sim_host)
set(sim_objects weft_sim_host)
if(kernel_files)
  set_source_files_properties(${kernel_files} PROPERTIES LANGUAGE CXX)
  add_library(weft_sim_kernels OBJECT ${kernel_files})
  weft_sim_settings(weft_sim_kernels)
  target_compile_options(weft_sim_kernels PRIVATE -O1 -fsanitize=thread -Wno-unknown-pragmas)  # nvcc has `#pragma unroll`
  list(APPEND sim_objects weft_sim_kernels)
endif()

file(GLOB sim_tests CONFIGURE_DEPENDS cuda_sim/*_test.cpp)
list(APPEND sim_tests "${CMAKE_CURRENT_SOURCE_DIR}/cuda/nccl_clique_test.cpp")
if(NOT sim_nccl)
  list(FILTER sim_tests EXCLUDE REGEX "/nccl[^/]*$")
endif()
weft_test_program(weft_tests_sim ${sim_tests})
target_link_libraries(weft_tests_sim PRIVATE ${sim_objects} weft_sim weft_sim_headers)
weft_doctest_entries(weft_tests_sim "sim/" ${test_files} ${sim_tests})

# Collectives by copies, as in a build without NCCL; CPU devices know no others.
if(WeftNCCL_INCLUDE_DIR)
  add_test(NAME sim/without_nccl COMMAND weft_tests_sim "--source-file=*parallel/*"
    "--source-file-exclude=*parallel/segmentation_training*,*parallel/u_net*,*parallel/pool*"
    "--test-case-exclude=every allocation of a whole step*")
  set_tests_properties(sim/without_nccl PROPERTIES
    FAIL_REGULAR_EXPRESSION "test cases: +0 " ENVIRONMENT "${test_environment};WEFT_NCCL=0;WEFT_DEVICE=cuda" TIMEOUT 600)
endif()

# As on a machine with one card: lists of devices name it again (parallel/devices.h). Not what takes long on any number.
# And what names no device, made on a card (support/main.cpp).
add_test(NAME sim/one_card COMMAND weft_tests_sim "--source-file=*tests/parallel/*"
  "--source-file-exclude=*parallel/segmentation_training*,*parallel/u_net*"
  "--test-case-exclude=every allocation of a whole step*,random workloads*,random rounds*,two models are trained*")
add_test(NAME sim/on_cuda_alone COMMAND weft_tests_sim
  "--source-file=*tests/nn/layers*,*tests/nn/loss*,*tests/nn/batch_norm*,*tests/nn/optim*,*tests/nn/ema*,*tests/nn/grad*")
set_tests_properties(sim/one_card sim/on_cuda_alone PROPERTIES FAIL_REGULAR_EXPRESSION "test cases: +0 " TIMEOUT 600
  ENVIRONMENT "${test_environment};WEFT_DEVICE=cuda;WEFT_SIM_DEVICES=1")

# With `ctest -C schedules`: what depends on the order of streams, again under every policy, on CUDA devices alone where a
# case has the choice; a report fails a case. Not the FCN's step, which takes minutes and launches nothing that others do
# not, nor what streams have no part in: the pool's workloads, memory of the host, what a net learns. What takes longest
# runs with one seed.
set(files "*cuda_sim/backend*,*parallel/*,*tensor/device*,*tensor/storage*,*autograd/devices*,*ops/copy*,*nn/data/loader*")
foreach(policy fifo newest random starve:1 pct:3)
  foreach(seed 1 2 3)
    set(name "sim/schedules/${policy}/${seed}")
    set(left_out "every allocation of a whole step*,u-net training: the net finds*,u-net training: the comparison*,D4 *")
    if(seed GREATER 1)
      string(APPEND left_out ",whatever a step does*,1 to 4 devices? with shares*,u-net training: 1? 2 and 3 devices*")
    endif()
    add_test(NAME ${name} CONFIGURATIONS schedules COMMAND weft_tests_sim "--source-file=${files}"
      "--source-file-exclude=*parallel/segmentation_training*,*parallel/pool_random*"
      "--test-case-exclude=${left_out}")
    set_tests_properties(${name} PROPERTIES FAIL_REGULAR_EXPRESSION "test cases: +0 " TIMEOUT 600 ENVIRONMENT
      "${test_environment};WEFT_DEVICE=cuda;WEFT_SIM_POLICY=${policy};WEFT_SIM_SEED=${seed};WEFT_SIM_ORDER=shuffled")
  endforeach()
endforeach()

if(Python3_FOUND AND kernel_files)
  set(lists "")
  foreach(target weft_sim_kernels weft_sim_host ${WEFT_OBJECTS} weft_test_objects)
    if(TARGET ${target})
      file(GENERATE OUTPUT "${folder}/${target}.objects" CONTENT "$<JOIN:$<TARGET_OBJECTS:${target}>,\n>\n")
      list(APPEND lists "${folder}/${target}.objects")
    endif()
  endforeach()
  weft_script(sim/hooked_symbols "${CMAKE_CURRENT_SOURCE_DIR}/cuda_sim/hooked_symbols_test.py" "${CMAKE_NM}" ${lists})
endif()

# The bench for GPUs, on tensors of a few elements and without PyTorch: that it runs, not how fast.
add_executable(weft_bench_gpu_sim bench/gpu/gpu.cpp bench/support/torch_peer.cpp)
weft_settings(weft_bench_gpu_sim)
target_include_directories(weft_bench_gpu_sim PRIVATE "${PROJECT_SOURCE_DIR}")
target_compile_definitions(weft_bench_gpu_sim PRIVATE "WEFT_BENCH_DIR=\"${CMAKE_CURRENT_SOURCE_DIR}/bench\"")
target_link_libraries(weft_bench_gpu_sim PRIVATE
  ${WEFT_OBJECTS} ${WEFT_PRIVATE_LIBRARIES} ${sim_objects} weft_sim weft_sim_headers)
set_target_properties(weft_bench_gpu_sim PROPERTIES LINKER_LANGUAGE CXX)
add_test(NAME sim/bench_gpu COMMAND weft_bench_gpu_sim --tiny --no-steps)
add_test(NAME sim/bench_gpu_steps COMMAND weft_bench_gpu_sim --tiny --device cpu step)  # which take minutes on simulated ones
set_tests_properties(sim/bench_gpu sim/bench_gpu_steps PROPERTIES
  ENVIRONMENT "${test_environment};WEFT_BENCH_PYTHON=/nonexistent" FAIL_REGULAR_EXPRESSION "rows were left out" TIMEOUT 600)
