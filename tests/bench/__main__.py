"""``make bench``: every figure this project claims about speed, size and statistics, measured now."""

from tests.bench import gated, import_cost, speed, statistics, sweep


def main() -> None:
    speed.main()
    import_cost.main()
    gated.main()
    sweep.main()
    statistics.main([])


if __name__ == "__main__":
    main()
