"""``make bench``: every figure this project claims about speed and size, measured now."""

from tests.bench import import_cost, speed, sweep


def main() -> None:
    speed.main()
    import_cost.main()
    sweep.main()


if __name__ == "__main__":
    main()
