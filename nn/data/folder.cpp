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

std::string ade_split(const std::string& split) {
  return split == "train" ? "training" : split == "val" ? "validation" : split;
}
bool is_ade(const fs::path& root) {
  return fs::is_directory(root / "images" / "training") && fs::is_directory(root / "annotations" / "training");
}

// The names are the last column of a table: "1<tab>0.1576<tab>11664<tab>1172<tab>1<tab>wall".
std::vector<std::string> ade_classes(const fs::path& table) {
  std::vector<std::string> classes;
  if (!fs::is_regular_file(table)) return classes;
  for (const std::string& line : lines_of(table)) {
    const std::string name = line.substr(line.rfind('\t') + 1);
    if (line[0] >= '0' && line[0] <= '9') classes.push_back(name.substr(0, name.find(',')));
  }
  return classes;
}

Folder open_ade(const fs::path& root, const std::string& split) {
  const std::string name = ade_split(split);
  const fs::path images = root / "images" / name, labels = root / "annotations" / name;
  WEFT_CHECK(data::FileError, !split.empty() && fs::is_directory(images) && fs::is_directory(labels), "open_folder: '",
             root.string(), "' (ADE20K) has no folders images/", name, " and annotations/", name,
             "; the splits are train and val");
  Folder folder = open_pair(images, labels);
  folder.layout = "ADE20K";
  for (Files& files : folder.files) files.code = LabelCode::ade20k;
  folder.classes = ade_classes(root / "objectInfo150.txt");
  return folder;
}

Folder open_cityscapes(const fs::path& root, const std::string& split) {
  const fs::path images = root / "leftImg8bit" / split, labels = root / "gtFine" / split;
  WEFT_CHECK(data::FileError, !split.empty() && fs::is_directory(images) && fs::is_directory(labels), "open_folder: '",
             root.string(), "' (Cityscapes) has no folders leftImg8bit/", split, " and gtFine/", split,
             "; the splits are train and val");
  Folder folder{"Cityscapes",
                {},
                {"road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
                 "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"}};
  std::map<std::string, fs::path> pictures;
  constexpr std::string_view ending = "_leftImg8bit.png";
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(images))
    if (entry.path().filename().string().ends_with(ending)) {
      const std::string name = entry.path().filename().string();
      pictures[name.substr(0, name.size() - ending.size())] = entry.path();
    }
  for (const auto& [name, image] : pictures) {
    const fs::path city = labels / image.parent_path().lexically_relative(images);
    const fs::path train_ids = city / (name + "_gtFine_labelTrainIds.png");
    if (fs::is_regular_file(train_ids))
      folder.files.push_back({name, image.string(), train_ids.string()});
    else
      folder.files.push_back(
          {name, image.string(), must_exist(city / (name + "_gtFine_labelIds.png"), image), LabelCode::cityscapes_ids});
  }
  return folder;
}

uint8_t class_of(uint8_t stored, LabelCode code) {
  constexpr int ids[] = {7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33};  // class -> id
  if (code == LabelCode::ade20k) return static_cast<uint8_t>(stored - 1);                            // 0 becomes 255
  if (code == LabelCode::classes) return stored;
  const auto* const found = std::find(std::begin(ids), std::end(ids), int{stored});
  return found == std::end(ids) ? uint8_t{255} : static_cast<uint8_t>(found - std::begin(ids));
}

}  // namespace

bool has_split(const std::string& root_name, const std::string& split) {
  const fs::path root(root_name);
  return fs::exists(root / "ImageSets" / "Segmentation" / (split + ".txt")) ||
         fs::is_directory(root / "images" / split) || fs::is_directory(root / "leftImg8bit" / split) ||
         (is_ade(root) && fs::is_directory(root / "images" / ade_split(split)));
}

Folder open_folder(const std::string& root_name, const std::string& split) {
  const fs::path root(root_name);
  WEFT_CHECK(data::FileError, fs::is_directory(root), "open_folder: '", root_name, "' is no folder; check the path");
  Folder folder;
  if (fs::is_directory(root / "JPEGImages"))
    for (const char* name : {"SegmentationClass", "SegmentationClassPNG", "SegmentationClassAug"})
      if (folder.layout.empty() && holds_png(root / name)) folder = open_voc(root, root / name, split);
  if (folder.layout.empty() && is_ade(root)) folder = open_ade(root, split);
  if (folder.layout.empty() && fs::is_directory(root / "leftImg8bit")) folder = open_cityscapes(root, split);
  for (const char* name : {"masks", "labels", "annotations"}) {
    if (!folder.layout.empty() || !fs::is_directory(root / "images") || !fs::is_directory(root / name)) continue;
    const bool split_is_folder = fs::is_directory(root / "images" / split) && fs::is_directory(root / name / split);
    WEFT_CHECK(data::FileError, split_is_folder, "open_folder: '", root_name, "' has no folders images/", split,
               " and ", name, "/", split, "; name a split that is there, or none");
    folder = open_pair(root / "images" / split, root / name / split);
  }
  WEFT_CHECK(
      data::FileError, !folder.layout.empty(), "open_folder: '", root_name,
      "' has neither JPEGImages/ and SegmentationClass/ with .png files nor images/ and masks/, nor is it ADE20K or "
      "Cityscapes; arrange it so");
  WEFT_CHECK(data::FileError, !folder.files.empty(), "open_folder: '", root_name, "' (", folder.layout,
             ") holds no sample of the split '", split, "'; check the split");
  if (fs::is_regular_file(root / "class_names.txt")) folder.classes = lines_of(root / "class_names.txt");
  return folder;
}

Sample read_sample(const Files& files, const Palette& palette) {
  LabelMap labels = read_labels(files.labels, palette);
  for (uint8_t& label : labels.values) label = class_of(label, files.code);
  return make_sample(files.name, to_rgb(read_image(files.image)), labels);
}

}  // namespace weft::data
