#include "weft/nn/data/nifti.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace weft::data {

namespace {

constexpr int64_t header_bytes = 348;

// A file's bytes with its order of bytes.
struct Bytes {
  const std::vector<uint8_t>& bytes;
  bool swap = false;

  template <class T>
  T at(size_t offset) const {
    uint8_t raw[sizeof(T)];
    for (size_t i = 0; i < sizeof(T); ++i) raw[swap ? sizeof(T) - 1 - i : i] = bytes[offset + i];
    T value;
    std::memcpy(&value, raw, sizeof(T));
    return value;
  }
};

struct Header {
  Volume volume;  // without values
  int16_t datatype = 0;
  int64_t voxel_bytes = 0, voxels = 0, offset = 0;
  double slope = 1, intercept = 0;
};

int64_t bytes_of(int16_t datatype) {
  switch (datatype) {
    case 2:
    case 256:
      return 1;
    case 4:
    case 512:
      return 2;
    case 8:
    case 16:
    case 768:
      return 4;
    case 64:
      return 8;
    default:
      return 0;
  }
}

template <class... Parts>
[[noreturn]] void refuse(const std::string& path, const Parts&... parts) {
  fail<FileError>("read_nifti: '", path, "' ", parts...);
}

void read_extents(const std::string& path, const Bytes& in, Header& header) {
  const int16_t axes = in.at<int16_t>(40);
  if (axes < 1 || axes > 7) refuse(path, "has ", axes, " axes; a NIfTI-1 file has 1 to 7: the header is damaged");
  header.voxels = 1;
  for (int axis = 0; axis < 7; ++axis) {
    const int64_t extent = axis < axes ? in.at<int16_t>(42 + 2 * static_cast<size_t>(axis)) : 1;
    if (extent < 1) refuse(path, "has extent ", extent, " on axis ", axis, "; the header is damaged");
    if (axis >= 3 && extent != 1)
      refuse(path, "holds more than one volume (extent ", extent, " on axis ", axis, "); extract one");
    if (axis < 3) header.volume.extent[static_cast<size_t>(axis)] = extent;
    header.voxels *= extent;
  }
}

// mm per unit of the file: metres and micrometres are rare but allowed; unknown units are taken for mm.
double unit(const Bytes& in) {
  const int code = in.bytes[123] & 7;
  return code == 1 ? 1000 : code == 3 ? 0.001 : 1;
}

// Quaternion (a, b, c, d) with a >= 0 from its last three, and qfac in pixdim[0]: nifti1.h, METHOD 2.
void affine_of_qform(const Bytes& in, double mm, Volume& volume) {
  const double b = in.at<float>(256), c = in.at<float>(260), d = in.at<float>(264);
  const double a = std::sqrt(std::max(0.0, 1 - b * b - c * c - d * d));
  const double rotation[3][3] = {{a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)},
                                 {2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)},
                                 {2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c}};
  const double qfac = in.at<float>(76) < 0 ? -1 : 1;
  for (size_t row = 0; row < 3; ++row) {
    for (size_t axis = 0; axis < 3; ++axis)
      volume.affine[row][axis] = rotation[row][axis] * volume.spacing[axis] * (axis == 2 ? qfac : 1);
    volume.affine[row][3] = mm * in.at<float>(268 + 4 * row);
  }
}

void read_space(const std::string& path, const Bytes& in, Volume& volume) {
  const double mm = unit(in);
  for (size_t axis = 0; axis < 3; ++axis) {
    const double step = std::fabs(mm * in.at<float>(80 + 4 * axis));
    volume.spacing[axis] = step > 0 ? step : 1;  // unused axes carry 0
    if (!std::isfinite(step)) refuse(path, "has a spacing of ", step, "; the header is damaged");
  }
  if (in.at<int16_t>(254) > 0) {
    for (size_t row = 0; row < 3; ++row)
      for (size_t column = 0; column < 4; ++column)
        volume.affine[row][column] = mm * in.at<float>(280 + 16 * row + 4 * column);
  } else if (in.at<int16_t>(252) > 0) {
    affine_of_qform(in, mm, volume);
  } else {
    for (size_t axis = 0; axis < 3; ++axis) volume.affine[axis][axis] = volume.spacing[axis];
  }
  for (const auto& row : volume.affine)
    for (const double value : row)
      if (!std::isfinite(value)) refuse(path, "has an affine that is not finite; the header is damaged");
}

Header read_header(const std::string& path, const std::vector<uint8_t>& bytes) {
  const int64_t size = static_cast<int64_t>(bytes.size());
  if (size < header_bytes) refuse(path, "has ", size, " bytes; a NIfTI-1 header alone has ", header_bytes);
  Bytes in{bytes};
  in.swap = in.at<int32_t>(0) != header_bytes;
  if (in.at<int32_t>(0) != header_bytes)
    refuse(path, "does not begin with the number 348 in either byte order; it is not a NIfTI-1 file");
  if (std::memcmp(&bytes[344], "ni1", 4) == 0)
    refuse(path, "is the header of a pair (.hdr, .img); convert it to a single .nii file");
  if (std::memcmp(&bytes[344], "n+1", 4) != 0) refuse(path, "lacks the mark n+1; it is not a NIfTI-1 file");
  Header header;
  read_extents(path, in, header);
  header.datatype = in.at<int16_t>(70);
  header.voxel_bytes = bytes_of(header.datatype);
  if (header.voxel_bytes == 0)
    refuse(path, "has voxels of type ", header.datatype, "; known are 2, 4, 8, 16, 64, 256, 512 and 768");
  const double offset = in.at<float>(108);
  if (!(offset >= header_bytes && offset < 2e9 && offset == std::floor(offset)))
    refuse(path, "says that its voxels begin at byte ", offset, "; they begin at 348 or later");
  header.offset = static_cast<int64_t>(offset);
  header.slope = in.at<float>(112);
  header.intercept = in.at<float>(116);
  if (!std::isfinite(header.slope) || !std::isfinite(header.intercept))
    refuse(path, "scales by a number that is not finite; the header is damaged");
  if (header.slope == 0) header.slope = 1, header.intercept = 0;
  read_space(path, in, header.volume);
  return header;
}

template <class T>
void convert(const Bytes& in, const Header& header, std::vector<float>& values) {
  values.resize(static_cast<size_t>(header.voxels));
  for (size_t i = 0; i < values.size(); ++i) {
    const auto raw = static_cast<double>(in.at<T>(static_cast<size_t>(header.offset) + i * sizeof(T)));
    values[i] = static_cast<float>(raw * header.slope + header.intercept);
  }
}

void read_voxels(const Bytes& in, const Header& header, std::vector<float>& values) {
  switch (header.datatype) {
    case 2:
      return convert<uint8_t>(in, header, values);
    case 4:
      return convert<int16_t>(in, header, values);
    case 8:
      return convert<int32_t>(in, header, values);
    case 16:
      return convert<float>(in, header, values);
    case 64:
      return convert<double>(in, header, values);
    case 256:
      return convert<int8_t>(in, header, values);
    case 512:
      return convert<uint16_t>(in, header, values);
    default:
      return convert<uint32_t>(in, header, values);
  }
}

}  // namespace

Volume read_nifti(const std::string& path) {
  // The header first: it says how much there is to unpack, and a file that holds less is found out as it is read.
  Header header = read_header(path, read_packed_file(path, header_bytes));
  const int64_t needed = header.offset + header.voxels * header.voxel_bytes;
  const std::vector<uint8_t> bytes = read_packed_file(path, needed);
  if (static_cast<int64_t>(bytes.size()) < needed)
    refuse(path, "ends after ", static_cast<int64_t>(bytes.size()), " of ", needed,
           " bytes (unpacked); it is cut off, or its header lies");
  Bytes in{bytes};
  in.swap = in.at<int32_t>(0) != header_bytes;
  read_voxels(in, header, header.volume.values);
  return std::move(header.volume);
}

Volume to_ras(const Volume& volume) {
  // Greedy: the strongest entry of the directions decides first.
  std::array<size_t, 3> source{};  // axis of the file for each axis of the world
  std::array<bool, 3> row_done{}, axis_done{};
  for (int step = 0; step < 3; ++step) {
    double most = -1;
    size_t best_row = 0, best_axis = 0;
    for (size_t row = 0; row < 3; ++row)
      for (size_t axis = 0; axis < 3; ++axis)
        if (const double entry = std::fabs(volume.affine[row][axis]) / volume.spacing[axis];
            !row_done[row] && !axis_done[axis] && entry > most)
          most = entry, best_row = row, best_axis = axis;
    source[best_row] = best_axis;
    row_done[best_row] = axis_done[best_axis] = true;
  }
  Volume ras;
  std::array<int64_t, 3> start{}, stride{};
  const std::array<int64_t, 3> strides{1, volume.extent[0], volume.extent[0] * volume.extent[1]};
  for (size_t row = 0; row < 3; ++row) ras.affine[row][3] = volume.affine[row][3];
  for (size_t to = 0; to < 3; ++to) {
    const size_t from = source[to];
    const bool flip = volume.affine[to][from] < 0;
    ras.extent[to] = volume.extent[from];
    ras.spacing[to] = volume.spacing[from];
    start[to] = flip ? (volume.extent[from] - 1) * strides[from] : 0;
    stride[to] = flip ? -strides[from] : strides[from];
    for (size_t row = 0; row < 3; ++row) {
      ras.affine[row][to] = flip ? -volume.affine[row][from] : volume.affine[row][from];
      if (flip) ras.affine[row][3] += volume.affine[row][from] * static_cast<double>(volume.extent[from] - 1);
    }
  }
  ras.values.reserve(volume.values.size());
  for (int64_t k = 0; k < ras.extent[2]; ++k)
    for (int64_t j = 0; j < ras.extent[1]; ++j)
      for (int64_t i = 0; i < ras.extent[0]; ++i)
        ras.values.push_back(volume.values[static_cast<size_t>(start[0] + i * stride[0] + start[1] + j * stride[1] +
                                                               start[2] + k * stride[2])]);
  return ras;
}

}  // namespace weft::data
