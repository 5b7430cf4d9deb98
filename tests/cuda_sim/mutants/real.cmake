# Mutants of weft's real code. Each is a copy of one file with one text replaced, compiled with what includes it and made a
# single object in which everything but its entry is local: it can lie beside the right code in one program. Calling
# weft_mutant_<name>() puts its kernels, or its backend, in the place of the right ones.

# weft_mutant(<name> <file> <text> <replacement> [<source>…]): the sources to compile, the file itself if none are given.
# The entry is the plug of the one file of cuda/ops/ among them, else register_nccl() or register_backend().
function(weft_mutant name file text replacement)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/mutants/${name}")
  set(patched "${folder}/include/weft/${file}")
  # The texts hold quotes and semicolons: they travel in bracket arguments, in a script.
  file(CONFIGURE OUTPUT "${folder}/patch.cmake" @ONLY CONTENT
    "set(IN [==[${PROJECT_SOURCE_DIR}/${file}]==])\nset(OUT [==[${patched}]==])\nset(FIND [==[\n${text}]==])
set(REPLACE [==[\n${replacement}]==])\ninclude([==[${CMAKE_CURRENT_SOURCE_DIR}/mutants/patch.cmake]==])\n")
  add_custom_command(OUTPUT "${patched}" COMMAND "${CMAKE_COMMAND}" -P "${folder}/patch.cmake"
    DEPENDS "${PROJECT_SOURCE_DIR}/${file}" "${folder}/patch.cmake" "${CMAKE_CURRENT_SOURCE_DIR}/mutants/patch.cmake"
    VERBATIM)

  set(sources "${ARGN}")
  list(TRANSFORM sources PREPEND "${PROJECT_SOURCE_DIR}/")
  list(REMOVE_ITEM sources "${PROJECT_SOURCE_DIR}/${file}")
  if(NOT file MATCHES "[.]cuh$" AND NOT file MATCHES "[.]h$")
    list(APPEND sources "${patched}")
  endif()
  set(entry _ZN4weft4cuda16register_backendEv)
  if(file MATCHES "/nccl")
    set(entry _ZN4weft4cuda13register_ncclEv)
  endif()
  foreach(source IN LISTS sources)
    if(source MATCHES "[.]cu$")
      weft_sim_kernels("${source}")
    endif()
    if(source MATCHES "/ops/[^/]*$")
      cmake_path(GET source STEM stem)
      string(LENGTH "plug_${stem}_sm" length)
      set(entry _ZN4weft4cuda${length}plug_${stem}_smEv)
    endif()
  endforeach()

  set(objects weft_mutant_${name}_objects)
  add_library(${objects} OBJECT ${sources} "${patched}")
  weft_sim_settings(${objects})
  target_include_directories(${objects} BEFORE PRIVATE "${folder}/include")
  target_compile_definitions(${objects} PRIVATE WEFT_STEM=${stem})
  target_compile_options(${objects} PRIVATE -w)  # what a mutant leaves unused is no matter
  add_custom_command(OUTPUT "${folder}/mutant.o"
    COMMAND "${CMAKE_LINKER}" -r --force-group-allocation -o "${folder}/all.o" $<TARGET_OBJECTS:${objects}>
    COMMAND "${CMAKE_OBJCOPY}" --weaken "${folder}/all.o"  # a symbol of unique binding cannot be made local, a weak one can
    COMMAND "${CMAKE_OBJCOPY}" --keep-global-symbol=${entry} "${folder}/all.o"
    COMMAND "${CMAKE_OBJCOPY}" --redefine-sym ${entry}=weft_mutant_${name} "${folder}/all.o" "${folder}/mutant.o"
    DEPENDS ${objects} $<TARGET_OBJECTS:${objects}> COMMAND_EXPAND_LISTS VERBATIM)
  set_property(GLOBAL APPEND PROPERTY weft_mutants ${name})
  set_property(GLOBAL APPEND PROPERTY weft_mutant_objects "${folder}/mutant.o")
endfunction()

weft_mutant(reads_past_the_end cuda/ahead.cuh
  [[const int64_t packed = wide ? n / N * N : 0;]]
  [[const int64_t packed = wide ? (n + N - 1) / N * N : 0;]] cuda/ops/unary.cu)
weft_mutant(packs_at_any_address cuda/pack.cuh
  [[return ((reinterpret_cast<uintptr_t>(addresses) % alignof(Pack<T, N>) == 0) && ...);]]
  [[return true;]] cuda/ops/unary.cu)
weft_mutant(no_barrier_before_the_parts_are_read cuda/reduce.cuh
  [[  barrier();
  acc = parts[0];]]
  [[  acc = parts[0];]] cuda/ops/softmax.cu)
weft_mutant(no_barrier_before_the_next_call cuda/reduce.cuh
  [[  barrier();  // before the next call writes]]
  [[]] cuda/ops/softmax.cu)
weft_mutant(barrier_of_one_lane cuda/reduce.cuh
  [[if (threadIdx.x % warp_size == 0) parts[threadIdx.x / warp_size] = acc;]]
  [[if (threadIdx.x % warp_size == 0) { parts[threadIdx.x / warp_size] = acc; barrier(); }]] cuda/ops/softmax.cu)
weft_mutant(parts_of_one_warp_too_few cuda/reduce.cuh
  [[WEFT_SHARED(typename R::Acc, parts, [warps]);]]
  [[WEFT_SHARED(typename R::Acc, parts, [warps - 1]);]] cuda/ops/softmax.cu)
weft_mutant(lanes_that_leave_early cuda/ops/cross_entropy.cu
  [[  acc = reduce_lanes<Totals>(acc, reduce_threads);
  if (threadIdx.x != 0) return;]]
  [[  if (threadIdx.x >= 100) return;
  acc = reduce_lanes<Totals>(acc, reduce_threads);
  if (threadIdx.x != 0) return;]])
weft_mutant(chunks_in_one_place cuda/ops/batch_norm_sums.cu
  [[return partials + chunk * 2 * columns.channels + channel;]]
  [[return partials + 0 * chunk + channel;]])
weft_mutant(sums_not_written cuda/ops/batch_norm_sums.cu
  [[      out[columns.channels] = squares.v[j];]]
  [[]])
weft_mutant(one_column_too_many cuda/ops/max_pool2d.cu
  [[if (w < 0 || w >= g.in.w) continue;]]
  [[if (w < 0 || w > g.in.w) continue;]])
weft_mutant(positions_one_too_far tensor/sort_key.h  # a helper that kernels of the CPU use as well
  [[return static_cast<int64_t>(bits & 0xffffffffu);]]
  [[return static_cast<int64_t>(bits & 0xffffffffu) + 1;]] cuda/ops/sort.cu)
weft_mutant(rows_shorter_than_they_are cuda/ops/matmul.cpp
  [[cublasGemmEx_64(handle, b_form, a_form, args.n, args.m, args.k, &one, args.b, type, args.b_row, args.a, type,
                          args.a_row,]]
  [[cublasGemmEx_64(handle, b_form, a_form, args.n, args.m, args.k, &one, args.b, type, args.b_row, args.a, type,
                          args.m,]])
weft_mutant(products_without_room cuda/blas.cpp
  [[size_t{64} << 10 :]]
  [[size_t{8} << 10 :]] cuda/ops/matmul.cpp cuda/blas.cpp)
weft_mutant(half_the_workspace cuda/ops/conv2d.cpp
  [[static_cast<size_t>(plan->workspace)]]
  [[static_cast<size_t>(plan->workspace) / 2]])
weft_mutant(launches_without_the_device cuda/launch.cuh
  [[  const DeviceScope scope(stream.device.index);]]
  [[]] cuda/ops/fill.cu)
weft_mutant(waits_for_nothing cuda/backend.cpp
  [[check(cudaStreamWaitEvent(native(stream), static_cast<cudaEvent_t>(event), 0), "wait for event");]]
  [[]])
weft_mutant(frees_on_another_stream cuda/backend.cpp
  [[check(cudaFreeAsync(data, native(stream)), "deallocate");]]
  [[check(cudaFreeAsync(data, native(Stream{stream.device, 0})), "deallocate");]])
weft_mutant(copies_one_word_too_many cuda/backend.cpp
  [[cudaMemcpyAsync(destination, source, bytes, kind, native(stream))]]
  [[cudaMemcpyAsync(destination, source, bytes + 4, kind, native(stream))]])
weft_mutant(peers_the_wrong_way_round cuda/backend.cpp
  [[cudaMemcpyPeerAsync(destination, to.index, source, from.index, bytes, handle)]]
  [[cudaMemcpyPeerAsync(destination, from.index, source, to.index, bytes, handle)]])
weft_mutant(reads_on_the_host cuda/backend.cpp
  [[  if (bytes == 0) return;
  const DeviceScope scope(stream.device.index);
  const cudaStream_t handle = native(stream);
  note_operation]]
  [[  if (bytes == 0) return;
  if (to.is_cpu()) { __builtin_memcpy(destination, source, bytes); return; }
  const DeviceScope scope(stream.device.index);
  const cudaStream_t handle = native(stream);
  note_operation]])
weft_mutant(frees_twice cuda/backend.cpp
  [[check(cudaFreeAsync(data, native(stream)), "deallocate");]]
  [[cudaFreeAsync(data, native(stream)); cudaFreeAsync(data, native(stream));]])
weft_mutant(memory_of_device_0_for_all cuda/backend.cpp
  [[  Context& context = Context::of(stream.device.index);
  const DeviceScope scope(context.index());]]
  [[  Context& context = Context::of(0);
  const DeviceScope scope(context.index());]])
weft_mutant(pinned_memory_is_always_idle cuda/pinned.cpp
  [[while (!block.pending.empty()) {]]
  [[while (false) {]] cuda/backend.cpp cuda/pinned.cpp)

if(sim_nccl)
  set(nccl_sources cuda/nccl.cpp cuda/nccl_clique.cpp cuda/nccl_cliques.cpp cuda/nccl_communicator.cpp)
  weft_mutant(ranks_that_disagree cuda/nccl_communicator.cpp
    [[return ncclAllReduce(x[rank].raw(), y[rank].raw(), count_of(x[rank]),]]
    [[return ncclAllReduce(x[rank].raw(), y[rank].raw(), count_of(x[rank]) - rank,]] ${nccl_sources})
  weft_mutant(ranks_one_by_one cuda/nccl_clique.cpp
    [[  NcclGroup group(operation, device(0));
  for (size_t rank = 0; rank < devices_.size(); ++rank) {
    const DeviceScope scope(devices_[rank]);
    note_operation(devices_[rank], record.what.operation);]]
    [[  struct { void end() {} } group;
  for (size_t rank = 0; rank < devices_.size(); ++rank) {
    const DeviceScope scope(devices_[rank]);]] ${nccl_sources})
  weft_mutant(a_rank_left_out cuda/nccl_clique.cpp
    [[check(issue(rank, comms_[rank], native(streams[rank])), operation, device(rank), comms_[rank]);]]
    [[if (rank != 1) check(issue(rank, comms_[rank], native(streams[rank])), operation, device(rank), comms_[rank]);]]
    ${nccl_sources})
  weft_mutant(goes_on_before_the_launch_is_over cuda/nccl_clique.cpp
    [[await(operation);  // only then is everything on the streams]]
    [[]] ${nccl_sources})
endif()

get_property(mutants GLOBAL PROPERTY weft_mutants)
get_property(mutant_objects GLOBAL PROPERTY weft_mutant_objects)
set(text "// Written by CMake: the mutants of mutants/real.cmake.\n#include \"mutants/real.h\"\n\n")
set(rows "")
foreach(name IN LISTS mutants)
  string(APPEND text "extern \"C\" void weft_mutant_${name}();\n")
  string(APPEND rows "  {\"${name}\", weft_mutant_${name}},\n")
endforeach()
weft_write("${WEFT_GENERATED}/sim/mutants.cpp"
  "${text}\nnamespace weft::sim::mutants {\nconst std::map<std::string, void (*)()> real = {\n${rows}};\n}\n")

# weft_sim_mutants: weft on the simulator, and the mutants beside it.
add_executable(weft_sim_mutants self/main.cpp mutants/real_test.cpp "${WEFT_GENERATED}/sim/mutants.cpp" ${mutant_objects})
set_source_files_properties(${mutant_objects} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
weft_sim_settings(weft_sim_mutants)
target_link_libraries(weft_sim_mutants PRIVATE
  ${WEFT_OBJECTS} ${WEFT_PRIVATE_LIBRARIES} weft_sim_host weft_sim_kernels weft_sim doctest::doctest)
set_target_properties(weft_sim_mutants PROPERTIES LINKER_LANGUAGE CXX)
weft_doctest_entries(weft_sim_mutants "" "${CMAKE_CURRENT_SOURCE_DIR}/mutants/real_test.cpp")
