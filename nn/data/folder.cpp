#include "weft/nn/data/folder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace weft::data {

namespace {

namespace fs = std::filesystem;

bool is_picture(const fs::path& path) {
  const std::string ending = path.extension().string();
  return ending == ".jpg" || ending == ".jpeg" || ending == ".png" || ending == ".JPG" || ending == ".JPEG" ||
         ending == ".PNG";
}
bool is_png(const fs::path& path) { return path.extension() == ".png" || path.extension() == ".PNG"; }

// Files of a folder by stem, sorted.
template <class Wanted>
std::map<std::string, std::string> by_stem(const fs::path& folder, const Wanted& wanted) {
  std::map<std::string, std::string> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (!wanted(entry.path())) continue;
    const auto [place, is_new] = files.emplace(entry.path().stem().string(), entry.path().string());
    WEFT_CHECK(data::FileError, is_new, "open_folder: '", place->second, "' and '", entry.path().string(),
               "' have one stem; which of them is meant?");
  }
  return files;
}

bool holds_png(const fs::path& folder) {
  return fs::is_directory(folder) && std::any_of(fs::directory_iterator(folder), fs::directory_iterator(),
                                                 [](const fs::directory_entry& entry) { return is_png(entry.path()); });
}

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream in(path);
  WEFT_CHECK(data::FileError, in.good(), "open_folder: '", path.string(), "' cannot be read; is it there?");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

std::string must_exist(const fs::path& path, const fs::path& because) {
  WEFT_CHECK(data::FileError, fs::is_regular_file(path), "open_folder: '", path.string(), "' is missing, which '",
             because.string(), "' asks for; is the data set whole?");
  return path.string();
}

// The picture of a name in JPEGImages.
std::string picture_of(const std::map<std::string, std::string>& pictures, const std::string& name,
                       const std::string& because) {
  const auto found = pictures.find(name);
  WEFT_CHECK(data::FileError, found != pictures.end(), "open_folder: no picture is called '", name, "', which '",
             because, "' asks for; is the data set whole?");
  return found->second;
}

Folder open_voc(const fs::path& root, const fs::path& masks, const std::string& split) {
  Folder folder{"VOC", {}, {}};
  const auto pictures = by_stem(root / "JPEGImages", is_picture);
  if (split.empty()) {
    for (const auto& [name, labels] : by_stem(masks, is_png))
      folder.files.push_back({name, picture_of(pictures, name, labels), labels});
    return folder;
  }
  const fs::path list = root / "ImageSets" / "Segmentation" / (split + ".txt");
  for (const std::string& line : lines_of(list)) {
    std::istringstream words(line);
    std::string first, second;
    words >> first >> second;
    if (second.empty()) {
      folder.files.push_back(
          {first, picture_of(pictures, first, list.string()), must_exist(masks / (first + ".png"), list)});
    } else {  // paths below the root, which may begin with a slash
      const fs::path image = root / fs::path(first).relative_path(), labels = root / fs::path(second).relative_path();
      folder.files.push_back({image.stem().string(), must_exist(image, list), must_exist(labels, list)});
    }
  }
  return folder;
}

Folder open_pair(const fs::path& images, const fs::path& masks) {
  Folder folder{"pair of folders", {}, {}};
  const auto labels = by_stem(masks, is_png);
  for (const auto& [name, image] : by_stem(images, is_picture)) {
    const auto found = labels.find(name);
    WEFT_CHECK(data::FileError, found != labels.end(), "open_folder: '", image, "' has no label map of its stem in '",
               masks.string(), "'; add it, or take the picture away");
    folder.files.push_back({name, image, found->second});
  }
  return folder;
}

}  // namespace

Folder open_folder(const std::string& root_name, const std::string& split) {
  const fs::path root(root_name);
  WEFT_CHECK(data::FileError, fs::is_directory(root), "open_folder: '", root_name, "' is no folder; check the path");
  Folder folder;
  if (fs::is_directory(root / "JPEGImages"))
    for (const char* name : {"SegmentationClass", "SegmentationClassPNG", "SegmentationClassAug"})
      if (folder.layout.empty() && holds_png(root / name)) folder = open_voc(root, root / name, split);
  for (const char* name : {"masks", "labels", "annotations"}) {
    if (!folder.layout.empty() || !fs::is_directory(root / "images") || !fs::is_directory(root / name)) continue;
    const bool split_is_folder = fs::is_directory(root / "images" / split) && fs::is_directory(root / name / split);
    WEFT_CHECK(data::FileError, split_is_folder, "open_folder: '", root_name, "' has no folders images/", split,
               " and ", name, "/", split, "; name a split that is there, or none");
    folder = open_pair(root / "images" / split, root / name / split);
  }
  WEFT_CHECK(data::FileError, !folder.layout.empty(), "open_folder: '", root_name,
             "' has neither JPEGImages/ and SegmentationClass/ with .png files nor images/ and masks/; arrange it so");
  WEFT_CHECK(data::FileError, !folder.files.empty(), "open_folder: '", root_name, "' (", folder.layout,
             ") holds no sample of the split '", split, "'; check the split");
  if (fs::is_regular_file(root / "class_names.txt")) folder.classes = lines_of(root / "class_names.txt");
  return folder;
}

Sample read_sample(const Files& files, const Palette& palette) {
  return make_sample(files.name, to_rgb(read_image(files.image)), read_labels(files.labels, palette));
}

}  // namespace weft::data
