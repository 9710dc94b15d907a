"""Burns CPU in `burn`."""

import sys


def burn(rounds):
    value = 0
    for index in range(rounds):
        value = (value * 31 + index) % 1000003
    return value


# So much work and not so much time: on a busy machine it is sampled as often. A round is some 2 ms.
def spin(rounds):
    total = 0
    for _ in range(rounds):
        total += burn(20000)
    return total


print(spin(int(sys.argv[1])) > 0)
