"""Pickles and files of torch.save, read as data."""

from __future__ import annotations

import collections
import gzip
import io
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail_cli.errors import InputError
from longtail_cli.files.pickles import load_pickle, load_saved

VALUES: dict[str, Any] = {
    "text": ["", "a", "é\U0001f600", "a" * 300],
    "bytes": [b"", b"a\xff", b"\0" * 300],
    "numbers": [0, -1, 255, 65536, -(2**31), 2**70, -(2**70), 0.5, float("inf"), True, False, None, 1 + 2j],
    "containers": [[], {}, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {1: {2: [3]}}, set(), {1, "a"}, frozenset({1})],
    "others": [slice(1, None, 2), range(3, 9, 2)],
    "shared": [[shared := [1]], shared],
    "many": [list(range(2500)), {str(i): i for i in range(2500)}],
}
ARRAYS = {
    "float32": np.arange(6, dtype="f4").reshape(2, 3),
    "big-endian": np.arange(6, dtype=">f8").reshape(3, 2),
    "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(12)[::3],
    "no rows": np.zeros((0, 5), "f4"),
    "no axes": np.array(2.5),
    "text": np.array(["a", "bcd"]),
    "bytes": np.array([b"a", b"bcd"]),
    "bool": np.array([True, False]),
    "float16": np.arange(3, dtype="f2"),
    "scalar": np.float32(1.5),
    "text scalar": np.str_("abc"),
}
TENSOR = torch.arange(12.0).reshape(3, 4)
TENSORS = {
    "whole": TENSOR,
    "transposed": TENSOR.t(),
    "a part": TENSOR[1:, ::2],
    "half": TENSOR.half(),
    "bfloat16": TENSOR.bfloat16() / 3,
    "int64": TENSOR.long(),
    "bool": TENSOR > 3,
    "empty": torch.zeros(0, 4),
    "a number": torch.tensor(3),
    "parameter": torch.nn.Parameter(TENSOR),
    "complex": torch.complex(TENSOR, TENSOR),
}
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def refused(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        load_pickle(data, "x.pkl")
    return str(caught.value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
def test_plain_values(values: Any, protocol: int) -> None:
    assert repr(load_pickle(pickle.dumps(values, protocol), "x.pkl")) == repr(values)


def test_containers_that_behave_as_plain() -> None:
    values = [
        collections.OrderedDict(a=1),
        collections.defaultdict(list, {1: [2]}),
        collections.Counter("aab"),
        torch.Size([2, 3]),
    ]
    assert load_pickle(pickle.dumps(values), "x.pkl") == [{"a": 1}, {1: [2]}, {"a": 2, "b": 1}, (2, 3)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS.keys())
def test_arrays(array: Any, protocol: int) -> None:
    first, second = load_pickle(pickle.dumps([array, array], protocol), "x.pkl")
    for found in (first, second):
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)


def test_arrays_of_older_numpy() -> None:
    """NumPy 1 named its modules otherwise."""
    data = pickle.dumps(ARRAYS["float32"], 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert np.array_equal(load_pickle(data, "x.pkl"), ARRAYS["float32"])


def test_arrays_of_python_2() -> None:
    """As `pickle.dumps({"a": numpy.array([1, 2], "i2")}, 2)` there: texts are bytes."""
    data = (
        b"\x80\x02}q\x01U\x01aq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b"
        b"\x87Rq\x05(K\x01K\x02\x85cnumpy\ndtype\nq\x06U\x02i2K\x00K\x01\x87Rq\x07(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x04\x01\x00\xff\x00tbs."
    )
    assert load_pickle(data, "x.pkl")["a"].tolist() == [1, 255]


def check_tensor(found: Any, tensor: torch.Tensor) -> None:
    plain = tensor.detach()
    expected = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("tensor", TENSORS.values(), ids=TENSORS.keys())
def test_files_of_torch(tensor: torch.Tensor, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"a": tensor, "b": [tensor]}, path, _use_new_zipfile_serialization=zipped)
    found = load_saved(path)
    check_tensor(found["a"], tensor)
    check_tensor(found["b"][0], tensor)


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("tensor", TENSORS.values(), ids=TENSORS.keys())
def test_tensors_in_plain_pickles(tensor: torch.Tensor, protocol: int) -> None:
    check_tensor(load_pickle(pickle.dumps([tensor, tensor.clone()], protocol), "x.pkl")[1], tensor)


def test_types_without_a_storage_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(TENSOR.to(torch.uint16), path)
    assert load_saved(path).tolist() == TENSOR.tolist()


def test_a_compressed_file(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl.gz"
    path.write_bytes(gzip.compress(pickle.dumps([1, 2])))
    assert load_saved(path) == [1, 2]


def test_torch_is_not_imported(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(TENSOR, path)
    code = "import sys; from pathlib import Path; from longtail_cli.files.pickles import load_saved; "
    code += "print(load_saved(Path(sys.argv[1])).sum(), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "66.0 False\n"


CALLS = {
    "os.system": b"cposix\nsystem\n(X\x02\0\0\0idtR.",
    "builtins.eval": b"cbuiltins\neval\n(X\x01\0\0\x001tR.",
    "a builtin by another way": b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93.",
    "numpy.load": b"cnumpy\nload\n(X\x01\0\0\0xtR.",
    "torch.load": b"ctorch\nload\n.",
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
}


@pytest.mark.parametrize("data", CALLS.values(), ids=CALLS.keys())
def test_other_objects_are_named_and_refused(data: bytes) -> None:
    message = refused(data)
    assert "expected arrays, tensors, and plain containers, found the object `" in message
    assert "Fix: save plain data instead" in message


HOSTILE: dict[str, tuple[bytes, str]] = {
    "object array": (pickle.dumps(np.array([None], object)), "an array of Python objects"),
    "structured array": (pickle.dumps(np.zeros(1, [("a", "f4")])), "an array of the type 'V4'"),
    "cut off": (pickle.dumps([1, 2])[:-1], "the end of the file before that of the pickle"),
    "no pickle": (b"\x80\x02\xff", "in place of an opcode"),
    "nothing on the stack": (b"\x80\x02\x85.", "fewer values than an opcode takes"),
    "an object that is not remembered": (b"\x80\x02h\x07.", "a reference to object 7, which there is not"),
    "a number for a far object": (b"\x80\x02]r\xff\xff\xff\xff0j\xff\xff\xff\x7f.", "which there is not"),
    "bytes that do not follow": (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x0f.", "bytes"),
    "a buffer that does not follow": (b"\x80\x05\x96" + b"\xff" * 7 + b"\x0f.", "bytes are stated"),
    "text that does not follow": (b"\x80\x02X\xff\xff\xff\x7f.", "bytes are stated"),
    "a huge buffer": (b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\0\0\0\0\x7f\x85R.", "bytes with arguments"),
    "a list as a key": (b"\x80\x02}]]s.", "list as a key"),
    "nested tuples as a key": (b"\x80\x02})" + b"\x85" * 100_000 + b"Ns.", "tuple as a key"),
    "an object that is changed": (b"\x80\x02cnumpy\nndarray\n}X\x01\0\0\0aK\x01sb.", "a Named with attributes"),
    "a call of what is no function": (b"\x80\x02X\x01\0\0\0a)R.", "str in place of Named"),
    "an argument of another type": (b"\x80\x02c_codecs\nencode\nK\x01X\x06\0\0\0latin1\x86R.", "int in place of str"),
    "too few arguments": (b"\x80\x02c_codecs\nencode\n)R.", "missing 2 required positional arguments"),
    "data elsewhere": (b"\x80\x02X\x01\0\0\0aQ.", "a reference to data outside the pickle"),
    "an instance": (b"(i__main__\nA\n.", "the opcode INST, which is not for data"),
    "an extension": (b"\x80\x02\x82\x01.", "the opcode EXT1, which is not for data"),
    "sets of nothing": (b"\x80\x04" + b"\x8f" * 5000 + b".", "more sets than data"),
    "a shape of more than the content": (
        pickle.dumps(np.zeros((2, 3), "f4"), 4).replace(b"K\x02K\x03\x86", b"M\xff\x7f\x85"),
        "an array of shape [32767] and type float32 in 24 bytes",
    ),
}


@pytest.mark.parametrize(("data", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_pickles(data: bytes, message: str) -> None:
    assert message in refused(data)


def test_containers_within_themselves_and_doubled_references_take_no_memory() -> None:
    """Lists of two references to the list before: two to the power of 100 elements, if they were copied."""
    data = b"\x80\x02]q\0" + b"".join(b"]q%c(h%ch%ce" % (i + 1, i, i) for i in range(100)) + b"."
    found = load_pickle(data, "x.pkl")
    assert found[0] is found[1]
    loop = load_pickle(b"\x80\x02]q\0h\0a.", "x.pkl")
    assert loop[0] is loop


def changed(tensor: torch.Tensor, old: bytes, new: bytes) -> bytes:
    """The file of a tensor, with its pickle changed."""
    file, other = io.BytesIO(), io.BytesIO()
    torch.save(tensor, file)
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(other, "w") as written:
        for name in archive.namelist():
            data = archive.read(name)
            assert old in data or not name.endswith("data.pkl")
            written.writestr(name, data.replace(old, new) if name.endswith("data.pkl") else data)
    return other.getvalue()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"K\x04K\x01\x86", b"K\x05K\x01\x86", "with strides [5, 1] in a storage of 12 numbers"),
        (b"QK\0", b"QK\x05", "in a storage of 12 numbers"),
        (b"QK\0", b"QJ\xff\xff\xff\xff", "from -1"),
        (b"FloatStorage", b"DoubleStorage", "a storage of 12 numbers in 48 bytes"),
        (b"K\x0ct", b"M\xff\xfft", "a storage of 65535 numbers in 48 bytes"),
        (b"X\x01\0\0\x000", b"X\x01\0\0\x009", "There is no item named 'archive/data/9'"),
    ],
)
def test_hostile_tensors(tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(changed(TENSOR, old, new))
    with pytest.raises(InputError) as caught:
        load_saved(path)
    assert message in str(caught.value)


def test_an_expanded_tensor(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(torch.zeros(1).expand(10**6, 10**6), path)
    with pytest.raises(InputError, match=r"save `tensor\.contiguous"):
        load_saved(path)


def test_members_that_are_packed(tmp_path: Path) -> None:
    """torch.save packs nothing, so that what unpacks to far more has no use."""
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02(" + b"]" * 10**6 + b"l.")
    with pytest.raises(InputError, match="one that unpacks to 1,000,005 bytes"):
        load_saved(path)


def test_an_archive_of_other_files(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(2))
    with pytest.raises(InputError, match=r"expected a file data.pkl, found a.npy"):
        load_saved(path)
