// NumPy's files: .npy (one array) and .npz (a zip archive of them), read and written.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "weft/nn/safetensors.h"

namespace weft::nn {

/// An array from the bytes of a .npy file (versions 1 to 3); pure. Either byte order and Fortran order are read right;
/// i1, i2, u2 become i32 and u4 becomes i64. Throws CheckpointError, beginning with `name`, where the bytes are no such
/// file, are too few or too many; DtypeError for object arrays (they would run code) and types that weft does not have.
Tensor parse_npy(std::span<const std::byte> file, std::string_view name = "npy");
/// The bytes of a .npy file. DtypeError for bf16, which NumPy does not have.
std::string to_npy(const Tensor& x);

Tensor load_npy(const std::string& path);
/// See AtomicFile for what happens on errors.
void save_npy(const std::string& path, const Tensor& x);

/// Arrays in the order of the archive, their names without ".npy". Entries must be stored, as numpy.savez does;
/// compressed ones are a CheckpointError, as are lengths that do not fit, names given twice and wrong checksums.
NamedTensors parse_npz(std::span<const std::byte> file, std::string_view name = "npz");
NamedTensors load_npz(const std::string& path);
/// At most 4 GiB in all.
void save_npz(const std::string& path, const NamedTensors& arrays);

}  // namespace weft::nn
