"""``make bench``: every figure this project claims about speed and size, measured now."""

from tests.bench import import_cost


def main() -> None:
    import_cost.main()


if __name__ == "__main__":
    main()
