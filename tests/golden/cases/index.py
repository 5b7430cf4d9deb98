import torch
import torch.nn.functional as F

from golden import case, distinct, labels, rng, uniform


def index():
    r = rng("index")
    x = uniform(r, 2, 5, 3)
    case("index", "flip", [x], lambda x: x.flip((0, 2)))
    case("index", "roll", [x], lambda x: x.roll(-2, 1))
    case("index", "split", [x], lambda x: torch.cat((x.split(2, 1)[2], x.split(2, 1)[0]), 1))
    case("index", "chunk", [x], lambda x: torch.cat(x.chunk(4, 1)[::-1], 1))
    case("index", "gather", [x, labels(r, 2, 7, 2, classes=5)], lambda x, i: x.gather(1, i))
    case("index", "index_select", [x, labels(r, 4, classes=3)], lambda x, i: x.index_select(2, i))
    case("index", "scatter_add", [x, labels(r, 2, 9, 3, classes=5), uniform(r, 2, 9, 3)],
         lambda x, i, s: x.scatter_add(1, i, s))
    case("index", "index_add", [x, labels(r, 6, classes=5), uniform(r, 2, 6, 3)], lambda x, i, s: x.index_add(1, i, s))
    case("index", "embedding", [uniform(r, 6, 4), labels(r, 3, 5, classes=6)], lambda w, i: F.embedding(i, w))
    case("index", "embedding_padding", [uniform(r, 6, 4), labels(r, 3, 5, classes=6)],
         lambda w, i: F.embedding(i, w, padding_idx=2))
    case("index", "masked_fill", [x, torch.from_numpy(r.uniform(size=(5, 1)) < 0.5)], lambda x, m: x.masked_fill(m, -1.5))
    case("index", "triu", [x], lambda x: x.triu(-1))
    case("index", "tril", [x], lambda x: x.tril(-1))
    case("index", "one_hot", [uniform(r, 4, 5), labels(r, 4, classes=5)], lambda x, i: x * F.one_hot(i, 5))
    y = distinct(r, 3, 40, 2)
    case("index", "sort", [y], lambda x: sorted_pair(x.sort(1, descending=True)))
    case("index", "topk", [y], lambda x: sorted_pair(x.topk(4, 1, largest=False)))
    # PyTorch gives no order to equal elements unless asked to.
    ties = torch.from_numpy(r.integers(-2, 3, (4, 60)).astype("float32"))
    case("index", "stable", [ties], lambda x: sorted_pair(torch.sort(x, stable=True)))


def sorted_pair(result):
    return result[0], {"index": result[1]}


index()
