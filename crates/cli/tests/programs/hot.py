"""Burns CPU in `burn`."""

import sys
import time


def burn(rounds):
    value = 0
    for index in range(rounds):
        value = (value * 31 + index) % 1000003
    return value


def spin(seconds):
    end = time.monotonic() + seconds
    total = 0
    while time.monotonic() < end:
        total += burn(20000)
    return total


print(spin(float(sys.argv[1])) > 0)
