"""npy/*: files as NumPy writes them, for the reader in nn/npy.h."""
import pathlib

import numpy as np

folder = pathlib.Path(__file__).resolve().parent.parent / "npy"
folder.mkdir(exist_ok=True)
a = np.arange(6, dtype=np.float32).reshape(2, 3)
for name, array in {
    "plain": a,
    "scalar": np.float64(2.5),
    "empty": np.zeros((0, 4), np.int64),
    "fortran": np.asfortranarray(np.arange(24, dtype=np.int32).reshape(2, 3, 4)),
    "big_endian": a.astype(">f8"),
    "big_endian_fortran": np.asfortranarray(np.arange(6).reshape(2, 3).astype(">i2")),
    "half": a.astype(np.float16),
    "bool": np.array([True, False, True]),
    "i1": np.array([-128, 127], np.int8),
    "u2": np.array([0, 65535], np.uint16),
    "u4": np.array([0, 2**32 - 1], np.uint32),
    "u8": np.array([2**64 - 1], np.uint64),
    "object": np.array([{}, 1], object),
    "records": np.zeros(2, [("x", "f4"), ("y", "i4")]),
    "complex": np.zeros(2, np.complex64),
}.items():
    np.save(folder / f"{name}.npy", array)
with open(folder / "version2.npy", "wb") as file:
    np.lib.format.write_array(file, a, version=(2, 0))
np.savez(folder / "two.npz", weight=a, steps=np.int64(7))
np.savez_compressed(folder / "compressed.npz", weight=a)
