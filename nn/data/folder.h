// Data sets for segmentation as folders of pictures and label maps, in the layouts that they come in.
#pragma once

#include <string>
#include <vector>

#include "weft/nn/data/sample.h"

namespace weft::data {

/// Where one sample lies.
struct Files {
  std::string name;    ///< of the picture, without folder and ending
  std::string image;   ///< .jpg, .jpeg or .png
  std::string labels;  ///< .png
};

struct Folder {
  std::string layout;  ///< "VOC" or "pair of folders"
  std::vector<Files> files;
  std::vector<std::string> classes;  ///< the lines of class_names.txt, where there is one
};

/// Tells the layout of `root` and lists the samples of `split` ("train", "val", …; "": all), by name or as listed:
///   VOC: JPEGImages/, and of SegmentationClass/, SegmentationClassPNG/, SegmentationClassAug/ the first that holds
///     .png files. A split is ImageSets/Segmentation/SPLIT.txt, of names or of two paths below the root a line; without
///     a split, every label map is taken.
///   Pair of folders: images/ and masks/, labels/ or annotations/, with or without a folder of the split's name in
///     both; files that have the same stem belong together.
/// Throws FileError naming the root, or the picture or label map that is missing.
Folder open_folder(const std::string& root, const std::string& split = "");

/// Reads one sample: RGB, values 0 … 255, labels as stored. Throws FileError, or ShapeError where the two differ in
/// size.
Sample read_sample(const Files& files, const Palette& palette = {});

}  // namespace weft::data
