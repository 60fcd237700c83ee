"""``make bench``: every figure this project claims about speed, size and statistics, measured now."""

from tests.bench import gated, import_cost, readers, speed, statistics, sweep


def main() -> None:
    speed.main()
    import_cost.main()
    gated.main()
    sweep.main()
    statistics.main([])
    readers.main(10_000, 1_000)


if __name__ == "__main__":
    main()
