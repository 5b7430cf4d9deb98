// Data sets for segmentation as folders of pictures and label maps, in the layouts that they come in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weft/nn/data/sample.h"

namespace weft::data {

/// How label maps number the classes.
enum class LabelCode : uint8_t {
  classes,         ///< as stored
  ade20k,          ///< 1 … 150 are classes 0 … 149, 0 is none (255)
  cityscapes_ids,  ///< of Cityscapes' 34 ids, 19 are classes, the others 255
};

/// Where one sample lies.
struct Files {
  std::string name;    ///< of the picture, without folder and ending
  std::string image;   ///< .jpg, .jpeg or .png
  std::string labels;  ///< .png
  LabelCode code = LabelCode::classes;
};

struct Folder {
  std::string layout;  ///< "VOC", "pair of folders", "ADE20K" or "Cityscapes"
  std::vector<Files> files;
  /// The lines of class_names.txt, where there is one; else those of ADE20K's objectInfo150.txt, Cityscapes' 19, or
  /// none.
  std::vector<std::string> classes;
};

/// Tells the layout of `root` and lists the samples of `split` ("train", "val", …; "": all), by name or as listed:
///   VOC: JPEGImages/, and of SegmentationClass/, SegmentationClassPNG/, SegmentationClassAug/ the first that holds
///     .png files. A split is ImageSets/Segmentation/SPLIT.txt, of names or of two paths below the root a line; without
///     a split, every label map is taken.
///   Pair of folders: images/ and masks/, labels/ or annotations/, with or without a folder of the split's name in
///     both; files that have the same stem belong together.
///   ADE20K: images/training and images/validation, annotations/ likewise; the splits "train" and "val" mean these.
///   Cityscapes: leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png and, of gtFine/SPLIT/CITY/, NAME_gtFine_labelTrainIds.png,
///     else NAME_gtFine_labelIds.png.
/// Throws FileError naming the root, or the picture or label map that is missing.
Folder open_folder(const std::string& root, const std::string& split = "");

/// Has `root` lists or folders of this split, in any of the layouts?
bool has_split(const std::string& root, const std::string& split);

/// Reads one sample: RGB, values 0 … 255, labels as class numbers, 255 for none. Throws FileError, or ShapeError where
/// the two differ in size.
Sample read_sample(const Files& files, const Palette& palette = {});

}  // namespace weft::data
