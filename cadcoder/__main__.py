"""``python -m cadcoder``: the same as the command ``cadcoder``."""

from cadcoder.cli.main import run

if __name__ == "__main__":
    run()
