#!/usr/bin/env python3
"""How many generated digits does an outside classifier misread?

  ebb sample RUN/model.safetensors --class all -n 1000 -o digits.npy
  python3 bench/misread.py digits.npy [--data data/mnist] [--json]

Trains scikit-learn's support vector classifier (RBF kernel) on the real training digits, measures it
on the held-out ones, and reads the samples, which are taken to be equal blocks of the classes in turn
(what --class all writes). Needs Debian's python3-sklearn and python3-numpy.
"""
import argparse
import gzip
import json
import os

import numpy as np
from sklearn.svm import SVC


def read_idx(path):
    with gzip.open(path) as f:
        raw = f.read()
    rank = raw[3]
    shape = np.frombuffer(raw, ">i4", rank, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def rows(pictures):
    # Coloured digits (data.colour=hue): the largest channel is the grey value.
    if pictures.ndim == 4 and pictures.shape[3] == 3:
        pictures = pictures.max(axis=3)
    return pictures.reshape(len(pictures), -1).astype(np.float32) / 255


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", help=".npy of uint8 (N,28,28,1) or (N,28,28,3), N/10 of each class in turn")
    parser.add_argument("--data", default="data/mnist")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    def load(part, kind, rank):
        return read_idx(os.path.join(args.data, f"mnist-{part}-{kind}-idx{rank}-ubyte.gz"))

    classifier = SVC(C=10, gamma="scale")
    classifier.fit(rows(load("train", "images", 3)), load("train", "labels", 1))
    real = classifier.predict(rows(load("test", "images", 3))) != load("test", "labels", 1)

    samples = np.load(args.samples)
    if len(samples) % 10:
        parser.error(f"{args.samples}: {len(samples)} samples are not ten equal blocks")
    labels = np.repeat(np.arange(10), len(samples) // 10)
    wrong = classifier.predict(rows(samples)) != labels
    by_class = [round(100 * float(wrong[labels == c].mean()), 2) for c in range(10)]
    result = {"samples": len(samples), "misread_percent": round(100 * float(wrong.mean()), 2),
              "real_held_out": len(real), "real_misread_percent": round(100 * float(real.mean()), 2),
              "misread_percent_by_class": by_class}
    if args.json:
        print(json.dumps(result))
    else:
        print(f"misread: {result['misread_percent']}% of {len(samples)} samples, "
              f"{result['real_misread_percent']}% of {len(real)} held-out real digits; by class {by_class}")


if __name__ == "__main__":
    main()
