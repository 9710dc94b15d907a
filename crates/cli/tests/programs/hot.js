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

globalThis.kept = [];
const end = Date.now() + Number(process.argv[2]);
let sum = 0;
while (Date.now() < end) {
  sum += burn(200000);
}
leak(5000);
console.log(sum > 0, globalThis.kept.length);
