// How nests are taken apart and put together again; included by split.h only.
#pragma once

#include <type_traits>
#include <utility>

namespace weft::parallel::detail {

/// Rule<T>: the type of a share of T, and split(value, splitter, path) -> one share per device.
template <class T, class = void>
struct Rule {
  // A struct may hold a batch, and a batch that went whole to every device would be trained on as often.
  static_assert(std::is_trivially_copyable_v<T> || std::is_same_v<T, std::string>,
                "split_and_load: what is this struct made of? Specialise weft::parallel::Fields for it and tie its "
                "members; tie none, std::tie(), if every device gets it whole");
  using Result = T;
  static std::vector<T> split(const T& value, Splitter& splitter, const std::string&) {
    return std::vector<T>(splitter.count(), value);
  }
};
template <class T>
using SplitResult = typename Rule<T>::Result;

template <class T>
std::vector<SplitResult<T>> split_nest(const T& value, Splitter& splitter, const std::string& path) {
  return Rule<T>::split(value, splitter, path);
}

template <>
struct Rule<Tensor> {
  using Result = Tensor;
  static std::vector<Tensor> split(const Tensor& x, Splitter& splitter, const std::string& path) {
    return splitter.split(x, splitter.batch_axis(), path);
  }
};
template <>
struct Rule<Split> {
  using Result = Tensor;
  static std::vector<Tensor> split(const Split& leaf, Splitter& splitter, const std::string& path) {
    return splitter.split(leaf.tensor, leaf.axis, path);
  }
};
template <>
struct Rule<Replicate> {
  using Result = Tensor;
  static std::vector<Tensor> split(const Replicate& leaf, Splitter& splitter, const std::string&) {
    return splitter.replicate(leaf.tensor);
  }
};
template <class T>
struct Rule<PerDevice<T>> {
  using Result = T;
  static std::vector<T> split(const PerDevice<T>& sharded, Splitter& splitter, const std::string& path) {
    splitter.check_sharded(sharded.devices(), path);
    return std::vector<T>(sharded.begin(), sharded.end());
  }
};

/// Host arrays: samples along the vector, numbers or texts.
template <class T>
inline constexpr bool is_sample = std::is_arithmetic_v<T> || std::is_same_v<T, std::string>;
template <class T>
struct Rule<std::vector<T>, std::enable_if_t<is_sample<T>>> {
  using Result = std::vector<T>;
  static std::vector<Result> split(const std::vector<T>& values, Splitter& splitter, const std::string& path) {
    const auto batch = static_cast<int64_t>(values.size());
    std::vector<Result> shares;
    auto from = values.begin();
    for (const int64_t size : splitter.sizes(batch, {batch}, path)) {
      shares.emplace_back(from, from + size);
      from += size;
    }
    return shares;
  }
};

template <class... T>
struct Rule<std::tuple<T...>> {
  using Result = std::tuple<SplitResult<T>...>;
  static std::vector<Result> split(const std::tuple<T...>& values, Splitter& splitter, const std::string& path) {
    return split(values, splitter, path, std::index_sequence_for<T...>{});
  }

 private:
  template <size_t... I>
  static std::vector<Result> split(const std::tuple<T...>& values, Splitter& splitter, const std::string& path,
                                   std::index_sequence<I...>) {
    // Braces: leaves are visited from left to right.
    std::tuple<std::vector<SplitResult<T>>...> parts{
        split_nest(std::get<I>(values), splitter, path + "[" + std::to_string(I) + "]")...};
    std::vector<Result> shares;
    for (size_t device = 0; device < splitter.count(); ++device)
      shares.emplace_back(std::move(std::get<I>(parts)[device])...);
    return shares;
  }
};
template <>
struct Rule<std::tuple<>> {
  using Result = std::tuple<>;
  static std::vector<Result> split(const std::tuple<>&, Splitter& splitter, const std::string&) {
    return std::vector<Result>(splitter.count());
  }
};

template <class A, class B>
struct Rule<std::pair<A, B>> {
  using Result = std::pair<SplitResult<A>, SplitResult<B>>;
  static std::vector<Result> split(const std::pair<A, B>& value, Splitter& splitter, const std::string& path) {
    auto first = split_nest(value.first, splitter, path + ".first");
    auto second = split_nest(value.second, splitter, path + ".second");
    std::vector<Result> shares;
    for (size_t i = 0; i < splitter.count(); ++i) shares.emplace_back(std::move(first[i]), std::move(second[i]));
    return shares;
  }
};

template <class T>
struct Rule<std::vector<T>, std::enable_if_t<!is_sample<T>>> {
  using Result = std::vector<SplitResult<T>>;
  static std::vector<Result> split(const std::vector<T>& values, Splitter& splitter, const std::string& path) {
    std::vector<Result> shares(splitter.count());
    for (size_t k = 0; k < values.size(); ++k) {
      auto parts = split_nest(values[k], splitter, path + "[" + std::to_string(k) + "]");
      for (size_t i = 0; i < shares.size(); ++i) shares[i].push_back(std::move(parts[i]));
    }
    return shares;
  }
};

template <class T, size_t N>
struct Rule<std::array<T, N>> {
  using Result = std::array<SplitResult<T>, N>;
  static std::vector<Result> split(const std::array<T, N>& values, Splitter& splitter, const std::string& path) {
    std::vector<Result> shares(splitter.count());
    for (size_t k = 0; k < N; ++k) {
      auto parts = split_nest(values[k], splitter, path + "[" + std::to_string(k) + "]");
      for (size_t i = 0; i < shares.size(); ++i) shares[i][k] = std::move(parts[i]);
    }
    return shares;
  }
};

template <class T>
struct Rule<std::optional<T>> {
  using Result = std::optional<SplitResult<T>>;
  static std::vector<Result> split(const std::optional<T>& value, Splitter& splitter, const std::string& path) {
    std::vector<Result> shares(splitter.count());
    if (!value) return shares;
    auto parts = split_nest(*value, splitter, path);
    for (size_t i = 0; i < shares.size(); ++i) shares[i] = std::move(parts[i]);
    return shares;
  }
};

/// std::map, std::unordered_map, and others like them that order by their keys alone.
template <template <class...> class Map, class K, class V, class... Rest>
requires std::is_same_v<typename Map<K, V, Rest...>::mapped_type, V> && std::is_same_v<Map<K, V, Rest...>, Map<K, V>>
struct Rule<Map<K, V, Rest...>> {
  using Result = Map<K, SplitResult<V>>;
  static std::vector<Result> split(const Map<K, V>& values, Splitter& splitter, const std::string& path) {
    std::vector<Result> shares(splitter.count());
    for (const auto& [key, value] : values) {
      std::string name = path + ".";
      if constexpr (std::is_convertible_v<const K&, std::string_view>)
        name += std::string_view(key);
      else
        name += "value";
      auto parts = split_nest(value, splitter, name);
      for (size_t i = 0; i < shares.size(); ++i) shares[i].emplace(key, std::move(parts[i]));
    }
    return shares;
  }
};

/// Structs that say what they consist of. Members keep their types, so markers are not allowed in them; a tensor that
/// is undefined stays so.
template <class T>
struct Rule<T, std::void_t<decltype(Fields<T>::tie(std::declval<T&>()))>> {
  using Result = T;
  static std::vector<T> split(const T& value, Splitter& splitter, const std::string& path) {
    T copy = value;
    auto members = Fields<T>::tie(copy);
    std::vector<T> shares(splitter.count(), value);
    split_members(members, shares, splitter, path, std::make_index_sequence<std::tuple_size_v<decltype(members)>>{});
    return shares;
  }

 private:
  template <class Members, size_t... I>
  static void split_members(Members& members, std::vector<T>& shares, Splitter& splitter, const std::string& path,
                            std::index_sequence<I...>) {
    const auto one = [&](auto index) {
      constexpr size_t k = decltype(index)::value;
      if constexpr (std::is_same_v<std::tuple_element_t<k, Members>, Tensor&>)
        if (!std::get<k>(members).defined()) return;
      auto parts = split_nest(std::get<k>(members), splitter, path + "[" + std::to_string(k) + "]");
      for (size_t i = 0; i < shares.size(); ++i) std::get<k>(Fields<T>::tie(shares[i])) = std::move(parts[i]);
    };
    (one(std::integral_constant<size_t, I>{}), ...);
  }
};

}  // namespace weft::parallel::detail
