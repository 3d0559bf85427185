"""Writes the example sites beside this file: `python -m deploy.examples`."""

from pathlib import Path

from deploy.examples.canals import example_sites


def main(folder: Path = Path(__file__).parent) -> None:
    for name, text in example_sites().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
