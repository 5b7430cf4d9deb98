// Folders of pictures and label maps: layouts, splits, what is missing; and real photographs where they are installed.
#include "weft/nn/data/folder.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "tests/nn/data/scratch.h"

using namespace weft;
using namespace weft::data;
using namespace weft::test;

namespace {

void add_picture(const Scratch& scratch, const std::string& name, uint8_t value) {
  std::filesystem::create_directories(std::filesystem::path(scratch.path(name)).parent_path());
  write_png(scratch.path(name), Image{2, 2, 1, std::vector<uint8_t>(4, value)});
}
void add_labels(const Scratch& scratch, const std::string& name, uint8_t label) {
  std::filesystem::create_directories(std::filesystem::path(scratch.path(name)).parent_path());
  write_png(scratch.path(name), LabelMap{2, 2, std::vector<uint8_t>(4, label)}, voc_palette());
}
void add_list(const Scratch& scratch, const std::string& name, const std::string& text) {
  scratch.file(name, std::vector<uint8_t>(text.begin(), text.end()));
}
std::vector<std::string> names(const Folder& folder) {
  std::vector<std::string> list;
  for (const Files& files : folder.files) list.push_back(files.name);
  return list;
}

}  // namespace

TEST_CASE("folder: VOC, by split and as a whole, masks in the first folder that holds .png files") {
  const Scratch scratch;
  for (const char* name : {"a", "b", "c"}) {
    add_picture(scratch, std::string("JPEGImages/") + name + ".png", 9);
    add_labels(scratch, std::string("SegmentationClassPNG/") + name + ".png", static_cast<uint8_t>(*name - 'a'));
  }
  add_list(scratch, "SegmentationClass/a.npy", "not a picture");
  add_list(scratch, "ImageSets/Segmentation/train.txt", "c\r\na\n\n");
  add_list(scratch, "ImageSets/Segmentation/val.txt", "/JPEGImages/b.png /SegmentationClassPNG/b.png\n");
  add_list(scratch, "ImageSets/Segmentation/bad.txt", "d\n");
  add_list(scratch, "class_names.txt", "ground\nsky\n");
  const std::string root = scratch.path("");
  const Folder train = open_folder(root, "train");
  CHECK(train.layout == "VOC");
  CHECK(names(train) == std::vector<std::string>{"c", "a"});
  CHECK(train.classes == std::vector<std::string>{"ground", "sky"});
  CHECK(names(open_folder(root, "val")) == std::vector<std::string>{"b"});
  CHECK(names(open_folder(root)) == std::vector<std::string>{"a", "b", "c"});
  const Sample c = read_sample(train.files[0]);
  CHECK(c.channels == 3);
  CHECK(c.image == std::vector<float>(12, 9));
  CHECK(c.labels == std::vector<uint8_t>(4, 2));
  CHECK(contains(error_of([&] { open_folder(root, "bad"); }), "'d'"));
  CHECK(contains(error_of([&] { open_folder(root, "test"); }), "test.txt"));
  add_labels(scratch, "SegmentationClassPNG/lonely.png", 1);
  CHECK(contains(error_of([&] { open_folder(root); }), "lonely"));
}

TEST_CASE("folder: a pair of folders, with and without splits") {
  const Scratch scratch;
  add_picture(scratch, "flat/images/one.png", 1);
  add_picture(scratch, "flat/images/two.png", 2);
  add_labels(scratch, "flat/masks/one.png", 1);
  CHECK(contains(error_of([&] { open_folder(scratch.path("flat")); }), "two.png"));
  add_labels(scratch, "flat/masks/two.png", 1);
  const Folder flat = open_folder(scratch.path("flat"));
  CHECK(flat.layout == "pair of folders");
  CHECK(names(flat) == std::vector<std::string>{"one", "two"});
  for (const char* split : {"train", "val"}) {
    add_picture(scratch, std::string("split/images/") + split + "/of_" + split + ".png", 1);
    add_labels(scratch, std::string("split/annotations/") + split + "/of_" + split + ".png", 1);
  }
  CHECK(names(open_folder(scratch.path("split"), "val")) == std::vector<std::string>{"of_val"});
  CHECK(contains(error_of([&] { open_folder(scratch.path("split"), "test"); }), "images/test"));
  CHECK(contains(error_of([&] { open_folder(scratch.path("split")); }), "holds no sample"));
  CHECK(contains(error_of([&] { open_folder(scratch.path("nowhere")); }), "nowhere"));
  std::filesystem::create_directories(scratch.path("empty"));
  CHECK(contains(error_of([&] { open_folder(scratch.path("empty")); }), "neither"));
}

TEST_CASE("folder: ADE20K counts its classes from 1, and its splits are training and validation") {
  const Scratch scratch;
  for (const std::string split : {"training", "validation"}) {
    add_picture(scratch, "images/" + split + "/ADE_" + split + ".png", 1);
    std::filesystem::create_directories(scratch.path("annotations/" + split));
    write_png(scratch.path("annotations/" + split + "/ADE_" + split + ".png"), Image{2, 2, 1, {0, 1, 2, 150}});
  }
  const std::string root = scratch.path("");
  CHECK(has_split(root, "train"));
  CHECK(has_split(root, "val"));
  CHECK_FALSE(has_split(root, "test"));
  const Folder train = open_folder(root, "train");
  CHECK(train.layout == "ADE20K");
  CHECK(train.classes.empty());
  CHECK(names(train) == std::vector<std::string>{"ADE_training"});
  CHECK(read_sample(train.files[0]).labels == std::vector<uint8_t>{255, 0, 1, 149});
  CHECK(names(open_folder(root, "val")) == std::vector<std::string>{"ADE_validation"});
  CHECK(contains(error_of([&] { open_folder(root, "test"); }), "images/test"));
  CHECK(contains(error_of([&] { open_folder(root); }), "splits are train and val"));
  add_list(scratch, "objectInfo150.txt",
           "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.2\t9\t9\t1\twall\n2\t0.1\t9\t9\t1\tbuilding, edifice\n");
  CHECK(open_folder(root, "val").classes == std::vector<std::string>{"wall", "building"});
  add_picture(scratch, "images/training/lonely.png", 1);
  CHECK(contains(error_of([&] { open_folder(root, "train"); }), "lonely"));
}

TEST_CASE("folder: Cityscapes by city, with training ids or, by the table, with the 34 ids") {
  const Scratch scratch;
  add_picture(scratch, "leftImg8bit/train/ulm/ulm_1_leftImg8bit.png", 1);
  add_picture(scratch, "leftImg8bit/train/bonn/bonn_7_leftImg8bit.png", 2);
  add_picture(scratch, "leftImg8bit/val/jena/jena_2_leftImg8bit.png", 3);
  for (const char* city : {"train/ulm", "train/bonn", "val/jena"})
    std::filesystem::create_directories(scratch.path("gtFine") + "/" + city);
  const auto write = [&](const std::string& name, const std::vector<uint8_t>& values) {
    write_png(scratch.path("gtFine/" + name), Image{2, 2, 1, values});
  };
  write("train/ulm/ulm_1_gtFine_labelIds.png", {7, 8, 33, 0});
  write("train/bonn/bonn_7_gtFine_labelIds.png", {0, 0, 0, 0});
  write("train/bonn/bonn_7_gtFine_labelTrainIds.png", {0, 18, 255, 3});
  const std::string root = scratch.path("");
  CHECK(has_split(root, "val"));
  CHECK_FALSE(has_split(root, "test"));
  const Folder train = open_folder(root, "train");
  CHECK(train.layout == "Cityscapes");
  CHECK(names(train) == std::vector<std::string>{"bonn_7", "ulm_1"});
  CHECK(train.classes.size() == 19);
  CHECK(train.classes[18] == "bicycle");
  CHECK(read_sample(train.files[0]).labels == std::vector<uint8_t>{0, 18, 255, 3});
  CHECK(read_sample(train.files[1]).labels == std::vector<uint8_t>{0, 1, 18, 255});
  CHECK(contains(error_of([&] { open_folder(root, "val"); }), "jena_2_gtFine_labelIds.png"));
  CHECK(contains(error_of([&] { open_folder(root, "test"); }), "leftImg8bit/test"));

  std::vector<uint8_t> classes;  // of all 34 ids
  for (uint8_t id = 0; id < 34; ++id) {
    write("val/jena/jena_2_gtFine_labelIds.png", {id, id, id, id});
    classes.push_back(read_sample(open_folder(root, "val").files.at(0)).labels[0]);
  }
  constexpr uint8_t none = 255;
  CHECK(classes == std::vector<uint8_t>{none, none, none, none, none, none, none, 0,  1,  none, none, 2,
                                        3,    4,    none, none, none, 5,    none, 6,  7,  8,    9,    10,
                                        11,   12,   13,   14,   15,   none, none, 16, 17, 18});
}

TEST_CASE("folder: PASCAL VOC photographs of the package labelme-examples, where it is installed") {
  const std::string root = "/usr/share/doc/labelme-examples/examples/semantic_segmentation/data_dataset_voc";
  if (!std::filesystem::is_directory(root)) {
    MESSAGE("skipped: labelme-examples is not installed");
    return;
  }
  const Folder folder = open_folder(root);
  CHECK(folder.layout == "VOC");
  CHECK(names(folder) == std::vector<std::string>{"2011_000003", "2011_000006", "2011_000025"});
  CHECK(folder.classes.size() == 21);
  CHECK(folder.classes[15] == "person");
  const Sample people = read_sample(folder.files[0]);
  CHECK(people.height == 338);
  CHECK(people.width == 500);
  CHECK(std::count(people.labels.begin(), people.labels.end(), 15) > 10000);
  CHECK(std::all_of(people.labels.begin(), people.labels.end(), [](uint8_t v) { return v <= 20 || v == 255; }));
  const auto [low, high] = std::minmax_element(people.image.begin(), people.image.end());
  CHECK(*low < 30);
  CHECK(*high > 220);
}
