"use strict";
// Unpacks raw deflate (RFC 1951), after Mark Adler's puff. Plotly lies in the page packed, a third of
// its size; the browser's own DecompressionStream would have figures wait, print and pictures of the
// page too.
const inflate = (function () {
  const LENGTHS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
  const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
  const DISTANCES = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577];
  const DISTANCE_BITS = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
  const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

  // Canonical Huffman code: how many codes of each length, and the symbols in order.
  function codeOf(lengths) {
    const count = new Uint16Array(16), offset = new Uint16Array(17), symbols = new Uint16Array(lengths.length);
    for (const length of lengths) count[length]++;
    count[0] = 0;
    for (let length = 1; length < 16; length++) offset[length + 1] = offset[length] + count[length];
    lengths.forEach((length, symbol) => { if (length) symbols[offset[length]++] = symbol; });
    return { count, symbols };
  }

  const FIXED = [
    codeOf(Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8))),
    codeOf(Array(30).fill(5)),
  ];

  return function (packed, size) {
    const out = new Uint8Array(size);
    let at = 0, held = 0, holding = 0, made = 0;

    function bits(n) {
      while (holding < n) {
        held |= packed[at++] << holding;
        holding += 8;
      }
      const value = held & ((1 << n) - 1);
      held >>>= n;
      holding -= n;
      return value;
    }

    function symbolOf(code) {
      let value = 0, first = 0, index = 0;
      for (let length = 1; length < 16; length++) {
        value |= bits(1);
        const count = code.count[length];
        if (value - first < count) return code.symbols[index + value - first];
        index += count;
        first = (first + count) << 1;
        value <<= 1;
      }
      throw new Error("damaged");
    }

    function dynamic() {
      const literals = bits(5) + 257, distances = bits(5) + 1, given = bits(4) + 4;
      const short = Array(19).fill(0), lengths = [];
      for (let i = 0; i < given; i++) short[ORDER[i]] = bits(3);
      const code = codeOf(short);
      while (lengths.length < literals + distances) {
        const symbol = symbolOf(code);
        if (symbol < 16) lengths.push(symbol);
        else {
          const again = symbol === 16 ? lengths[lengths.length - 1] : 0;
          const times = symbol === 16 ? 3 + bits(2) : symbol === 17 ? 3 + bits(3) : 11 + bits(7);
          for (let i = 0; i < times; i++) lengths.push(again);
        }
      }
      return [codeOf(lengths.slice(0, literals)), codeOf(lengths.slice(literals))];
    }

    function block([literal, distance]) {
      for (let symbol = symbolOf(literal); symbol !== 256; symbol = symbolOf(literal)) {
        if (symbol < 256) {
          out[made++] = symbol;
          continue;
        }
        const length = LENGTHS[symbol - 257] + bits(LENGTH_BITS[symbol - 257]);
        const back = symbolOf(distance);
        const from = made - (DISTANCES[back] + bits(DISTANCE_BITS[back]));
        for (let i = 0; i < length; i++) out[made++] = out[from + i];
      }
    }

    function stored() {
      held = holding = 0;
      const length = packed[at] | (packed[at + 1] << 8);
      at += 4;
      out.set(packed.subarray(at, at + length), made);
      at += length;
      made += length;
    }

    for (let last = 0; !last;) {
      last = bits(1);
      const kind = bits(2);
      if (kind === 0) stored();
      else block(kind === 1 ? FIXED : dynamic());
    }
    return out;
  };
})();
