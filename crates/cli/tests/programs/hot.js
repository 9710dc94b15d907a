// Burns CPU in `burn`, then keeps what `leak` allocates.
function burn(rounds) {
  let value = 0;
  for (let round = 0; round < rounds; round++) {
    value = (value * 31 + round) % 1000003;
  }
  return value;
}

function leak(count) {
  for (let index = 0; index < count; index++) {
    globalThis.kept.push(new Array(1000).fill(index));
  }
}

// Milliseconds of its own CPU time, and not of a clock: on a busy machine it is sampled as often.
function spin(millis) {
  let sum = 0;
  while (process.cpuUsage().user < millis * 1000) {
    sum += burn(200000);
  }
  return sum;
}

globalThis.kept = [];
const sum = spin(Number(process.argv[2]));
leak(Number(process.argv[3]));
console.log(sum > 0, globalThis.kept.length);
