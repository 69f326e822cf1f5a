"""Writes digits.bin from scikit-learn's copy of the UCI optical digits. README.md describes the file.

    python make_digits.py [digits.bin]
"""
import sys

from sklearn.datasets import load_digits


def record(label, pixels):
    """One image: the label's byte, then 64 values of 5 bits, the first value in the highest bits."""
    bits = 0
    for value in pixels:
        assert value == int(value) and 0 <= value <= 16, value
        bits = bits << 5 | int(value)
    return bytes([label]) + bits.to_bytes(40, "big")


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "digits.bin"
    digits = load_digits()
    assert digits.data.shape == (1797, 64), digits.data.shape
    records = [record(int(label), pixels) for label, pixels in zip(digits.target, digits.data)]
    with open(path, "wb") as file:
        file.write(b"".join(records))


if __name__ == "__main__":
    main()
