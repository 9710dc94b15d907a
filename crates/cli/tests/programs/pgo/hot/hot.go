// Package hot burns CPU in burn. It imports nothing: with another profile the compiler builds every package anew.
package hot

// burn is too large to be inlined without a profile that says how hot its call is.
func burn(rounds int) int {
	value := 0
	for round := range rounds {
		switch {
		case value%7 == 3:
			value = (value*31 + round) % 1000003
		case value%5 == 2:
			value = (value*37 + round*3) % 1000033
		case value%3 == 1:
			value = (value*41 + round*5) % 1000037
		case value%11 == 4:
			value = (value*47 + round*9) % 1000081
		case value%13 == 6:
			value = (value*53 + round*11) % 1000099
		default:
			value = (value*43 + round*7) % 1000039
		}
	}
	return value
}

// Spin does so much work, and not so much time: on a busy machine it is sampled as often.
func Spin(calls int) int {
	sum := 0
	for range calls {
		sum += burn(10)
	}
	return sum
}
